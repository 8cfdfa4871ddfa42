"""Encoders that run in other processes: a plugin gives a router these in place of those of its own process."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from ray.exceptions import RayActorError, RayTaskError
from ray.serve.exceptions import DeploymentUnavailableError, RayServeException

from registry import DomainRouterError
from router_plugin.deployment.encoder_name import EncoderName
from router_plugin.deployment.encoders import EncoderFacts
from router_plugin.encoders.selection import TORCH, chosen_variant
from router_plugin.errors import ServerError
from router_plugin.hookspecs import hookimpl

if TYPE_CHECKING:
    from ray.serve.handle import DeploymentHandle, DeploymentResponse

    from registry import BaseModelFiles, ModelVersion
    from router_plugin.settings import Settings

Vector = NDArray[np.float32]
T = TypeVar("T")

TEXTS = 128
"""Of one call, so that several replicas encode what is long, such as the candidates of a new version."""
PATIENCE = 600.0
"""Seconds for a call, which may be one that loads a model or waits behind thousands of candidates. That a request takes
too long, the server says much earlier."""
TRIES = 5
PAUSE = 0.2
"""Seconds before a call is made again whose replica died; each time twice as many."""


class RemoteEncoders:
    """The replicas that encode, as one shared pass: texts for several encoders are on their way at the same time."""

    def __init__(self, handle: DeploymentHandle[Any]) -> None:
        """
        Args:
            handle: of their deployment.
        """
        self._handle = handle

    def encode(self, pairs: Sequence[tuple[RemoteEncoder, str]]) -> list[Vector]:
        """Unit vectors, ``(d,)`` each, of texts, each by the encoder that it is paired with.

        Raises:
            ServerError: no replica can encode them.
        """
        rows: dict[RemoteEncoder, list[int]] = defaultdict(list)
        for row, (encoder, _) in enumerate(pairs):
            rows[encoder].append(row)
        calls = [
            (part, self.call(encoder.model, "encode", [pairs[row][1] for row in part]))
            for encoder, own in rows.items()
            for part in (own[start : start + TEXTS] for start in range(0, len(own), TEXTS))
        ]
        vectors: dict[int, Vector] = {}
        for part, answer in calls:
            vectors |= zip(part, answer(), strict=True)
        return [vectors[row] for row in range(len(pairs))]

    def call(self, model: str, method: str, *arguments: Any) -> Callable[[], Any]:
        """Begin a call; what is returned waits for its answer.

        The call is made again if its replica dies: what it does changes nothing.
        """
        ask = getattr(self._handle.options(multiplexed_model_id=model), method)
        first = ask.remote(*arguments)
        return lambda: self._answer(first, lambda: ask.remote(*arguments))

    def _answer(self, asked: DeploymentResponse[Any], again: Callable[[], DeploymentResponse[Any]]) -> Any:
        for attempt in range(TRIES):
            try:
                return asked.result(timeout_s=PATIENCE)
            except (RayActorError, DeploymentUnavailableError) as error:
                if attempt == TRIES - 1:
                    raise ServerError(f"no replica encodes: {type(error).__name__}") from error
                time.sleep(PAUSE * 2**attempt)
                asked = again()
            except TimeoutError as error:
                raise ServerError(f"the encoders took longer than {PATIENCE:g} s") from error
            except RayTaskError as error:
                raise _own(error) from error
            except RayServeException as error:
                raise ServerError(f"the encoders refuse: {error}") from error
        raise AssertionError


def _own(error: RayTaskError) -> Exception:
    """An error of a replica, without the trace that Ray puts into its text."""
    cause = error.cause
    return ServerError(str(cause)) if isinstance(cause, DomainRouterError) else error


class RemoteEncoder:
    """An encoder that runs in the replicas that encode. It reads texts here, as it does there."""

    nbytes = 0

    def __init__(self, shared: RemoteEncoders, model: str, facts: EncoderFacts) -> None:
        """
        Args:
            shared: those replicas.
            model: name of the encoder.
            facts: about it.
        """
        self.shared, self.model, self.reader = shared, model, facts.reader
        if facts.runtime is not None:
            self.runtime = facts.runtime

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors, ``(n, d)``."""
        return np.stack(self.shared.encode([(self, text) for text in texts]))

    def truncates(self, text: str) -> bool:
        """Whether the text is longer than the encoder reads; False where it cannot say."""
        return self.reader.read(text).truncated if self.reader else False

    def unread(self, text: str) -> float:
        """The fraction of a query's words that the encoder does not know; 0 where it cannot say."""
        return self.reader.read(text).unread if self.reader else 0.0

    def key(self, text: str) -> Hashable:
        """The tokens of a query; the text itself where the encoder cannot say."""
        return self.reader.read(text).ids if self.reader else text


class RemoteEncoderPlugin:
    """The encoders of a router, in the replicas that encode. Encoders of other plugins stay in the router's process."""

    def __init__(self, encoders: RemoteEncoders) -> None:
        """
        Args:
            encoders: those replicas.
        """
        self._encoders = encoders

    @hookimpl(trylast=True)
    def encoder(
        self, folder: Path, version: ModelVersion | None, base: BaseModelFiles, settings: Settings
    ) -> RemoteEncoder:
        """The encoder, which a replica has in memory from now on.

        Raises:
            ServerError: it cannot be loaded there, or runs on something else there than it would here.
        """
        model = EncoderName.of(version, base, settings).model_dump_json()
        facts: EncoderFacts = self._encoders.call(model, "facts")()
        here = chosen_variant(folder, base, settings.backend, settings.device) or TORCH
        if facts.runtime not in (None, here):
            raise ServerError(
                f"{version.name if version else base.name} runs on {facts.runtime} where it is encoded, but {here} was "
                f"expected: install the same extras on all machines, or give `backend` torch"
            )
        return RemoteEncoder(self._encoders, model, facts)
