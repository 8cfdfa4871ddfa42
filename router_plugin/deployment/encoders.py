"""The replicas that encode: each keeps some models in memory, and Ray Serve sends a model's requests where it is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import ExitStack
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from ray import serve

from registry.model_folders.tokenizer import QueryReader
from router_plugin.contracts import Encoder
from router_plugin.deployment.encoder_name import EncoderName
from router_plugin.deployment.options import RayOptions
from router_plugin.plugins.manager import plugins
from router_plugin.plugins.registries import opened
from router_plugin.settings import Settings

Vectors = NDArray[np.float32]


class EncoderFacts(NamedTuple):
    """What others need to know of an encoder that is in memory.

    Attributes:
        reader: how it reads queries; None where it cannot say.
        runtime: what it runs on; None where its vectors must not be kept on disk.
    """

    reader: QueryReader | None
    runtime: str | None


class Encoders:
    """Encodes texts by the encoder that is named as the model of a request, see :class:`EncoderName`."""

    def __init__(self, registry: str | None, settings: Settings, options: RayOptions) -> None:
        """
        Args:
            registry: folder or URL, as the machines of the cluster reach it.
            settings: of the router.
            options: of the deployment.

        Raises:
            RegistryError: the registry cannot be opened.
        """
        self._settings = settings
        self._open = ExitStack()
        self._store = opened(registry, self._open, None)
        self._model = serve.multiplexed(max_num_models_per_replica=options.models_per_replica)(self._loader())
        batched = serve.batch(max_batch_size=options.batch_requests, batch_wait_timeout_s=options.batch_wait_ms / 1000)
        self._batched = batched(self._passes())

    async def facts(self) -> EncoderFacts:
        """Load the encoder, if it is not in memory, and say what it is like."""
        encoder = await self._model(serve.get_multiplexed_model_id())
        return EncoderFacts(getattr(encoder, "reader", None), getattr(encoder, "runtime", None))

    async def encode(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors, ``(n, d)``; requests that come at the same time are encoded in one pass."""
        vectors: Vectors = await self._batched(texts)
        return vectors

    def __del__(self) -> None:
        self._open.close()

    def _loader(self) -> Callable[[str], Awaitable[Encoder]]:
        async def load(model: str) -> Encoder:
            name = EncoderName.model_validate_json(model)
            return await asyncio.to_thread(name.load, self._store, plugins(), self._settings)

        return load

    def _passes(self) -> Callable[[list[Sequence[str]]], Coroutine[Any, Any, list[Vectors]]]:
        async def encode_requests(requests: list[Sequence[str]]) -> list[Vectors]:
            encoder: Encoder = await self._model(serve.get_multiplexed_model_id())
            vectors = await asyncio.to_thread(encoder.encode, [text for texts in requests for text in texts])
            ends = np.cumsum([len(texts) for texts in requests])
            return list(np.split(vectors, ends[:-1]))

        return encode_requests
