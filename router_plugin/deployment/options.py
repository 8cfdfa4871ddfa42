"""Options of a deployment on Ray Serve: how often its parts run, on what, and how encoding is batched."""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import Field, model_validator

from registry.cluster.room import Need, counted
from registry.shared.options import Options, Shown
from router_plugin.errors import SettingsError

_SAME = Shown(default="the number does not change")


class RayOptions(Options):
    """How the parts of a deployment run on a Ray cluster.

    Raises:
        SettingsError: an unknown option, a value of another type or out of range, or a maximum below its minimum.
    """

    error = SettingsError

    replicas: Annotated[
        int, Field(ge=1, description="Replicas that answer requests and choose domains; the fewest, with a maximum.")
    ] = 1
    max_replicas: Annotated[
        int | None, Field(ge=1, description="The most of them: Ray Serve adds and removes some with the load."), _SAME
    ] = None
    encoder_replicas: Annotated[int, Field(ge=1, description="Replicas that encode; the fewest, with a maximum.")] = 1
    max_encoder_replicas: Annotated[int | None, Field(ge=1, description="The most of them, likewise."), _SAME] = None
    encoder_cpus: Annotated[float, Field(gt=0, description="Processors that Ray reserves for an encoding replica.")] = 1
    encoder_gpus: Annotated[
        float, Field(ge=0, description="GPUs that Ray reserves for it; all encoders then run on torch with CUDA.")
    ] = 0
    models_per_replica: Annotated[
        int,
        Field(ge=1, description="Encoders that a replica keeps in memory; the one unused for longest gives way."),
    ] = 16
    batch_requests: Annotated[int, Field(ge=1, description="Requests that are encoded in one pass at most.")] = 16
    batch_wait_ms: Annotated[
        float, Field(ge=0, le=1000, description="Milliseconds that an encoder waits for more requests to a pass.")
    ] = 2

    @model_validator(mode="after")
    def _in_order(self) -> RayOptions:
        for name in ("replicas", "encoder_replicas"):
            fewest, most = getattr(self, name), getattr(self, f"max_{name}")
            if most is not None and most < fewest:
                raise SettingsError(f"`max_{name}` {most}: expected at least the {fewest} of `{name}`")
        return self

    def needs(self) -> list[Need]:
        """What the fewest replicas reserve."""
        encoders = counted(self.encoder_replicas, "encoder replica")
        return [
            Need(counted(self.replicas, "server replica"), self.replicas),
            Need(encoders, self.encoder_replicas, self.encoder_cpus, self.encoder_gpus),
        ]

    def most_cores(self) -> int:
        """Cores that all replicas reserve when there are the most of them."""
        encoders = (self.max_encoder_replicas or self.encoder_replicas) * self.encoder_cpus
        return (self.max_replicas or self.replicas) + math.ceil(encoders)

    def scaling(self, name: str, ongoing: float) -> dict[str, Any]:
        """What Ray Serve is given as the number of replicas.

        Args:
            name: the option with the fewest.
            ongoing: requests that each of them answers at the same time, by which more are started.
        """
        fewest, most = getattr(self, name), getattr(self, f"max_{name}")
        if most is None:
            return {"num_replicas": fewest}
        bounds = {"min_replicas": fewest, "max_replicas": most, "target_ongoing_requests": ongoing}
        return {"autoscaling_config": bounds}
