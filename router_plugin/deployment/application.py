"""Binds the two kinds of replicas to an application of Ray Serve; :func:`build` is the import path of its configs."""

from __future__ import annotations

from typing import Any

from ray import serve
from ray.serve import Application

from router_plugin.deployment.deployed import Deployed
from router_plugin.deployment.encoders import Encoders
from router_plugin.deployment.ingress import Ingress

ONGOING = 512
"""Requests that a replica takes at the same time. Its own queue refuses what is too much, with a time to come back."""
BUSY, BUSY_ENCODER = 16, 4
"""Requests at the same time from which on more replicas are started, where their number may change."""


def application(deployed: Deployed) -> Application:
    """The application.

    Args:
        deployed: what its replicas open.
    """
    options, drain = deployed.ray, float(deployed.server.drain_s)
    encoders = serve.deployment(
        name="encoders",
        max_ongoing_requests=ONGOING,
        graceful_shutdown_timeout_s=drain,
        ray_actor_options={"num_cpus": options.encoder_cpus, "num_gpus": options.encoder_gpus},
        **options.scaling("encoder_replicas", BUSY_ENCODER),
    )(Encoders)
    ingress = serve.deployment(
        name="server",
        max_ongoing_requests=ONGOING,
        graceful_shutdown_timeout_s=drain,
        graceful_shutdown_wait_loop_s=0.2,
        max_surge_percent=100,
        **options.scaling("replicas", BUSY),
    )(serve.ingress()(Ingress))
    return ingress.bind(deployed, encoders.bind(deployed.registry, deployed.encoding(), options))


def build(args: dict[str, Any]) -> Application:
    """The application that the ``args`` of a Serve config describe: the fields of :class:`Deployed`.

    Raises:
        SettingsError: see :class:`Deployed`.
    """
    return application(Deployed(**args))
