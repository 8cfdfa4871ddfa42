"""What embeds: a version of a registry, or a server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from registry.paths import PathLike
from router_plugin.cosines import unit
from router_plugin.errors import ReindexError
from router_plugin.reindexing.index import Vectors

if TYPE_CHECKING:
    from router_plugin.client import DomainRouterClient


class RegistryEmbedder:
    """A version of a registry, loaded here. Documents and queries get the prompts that the model has for them."""

    def __init__(self, reference: str, registry: PathLike | None = None, device: str | None = None) -> None:
        """
        Args:
            reference: ``medical``, ``medical@3`` or ``medical@candidate``.
            registry: folder or URL.
            device: as torch names it.

        Raises:
            NotRegisteredError: the registry does not have that version.
            DomainRouterError: it cannot be loaded.
        """
        from registry.model_folders.loading import load_sentence_transformer
        from router_plugin.plugins.registries import open_registry

        store = open_registry(registry)
        try:
            version = store.get(reference)
            self._model = load_sentence_transformer(store.fetch(version), device=device)
        finally:
            store.close()
        self.model, self.dimension = version.name, version.dimension

    def documents(self, texts: Sequence[str]) -> Vectors:
        """See :class:`router_plugin.reindexing.index.Embedder`."""
        return unit(np.asarray(self._model.encode_document(list(texts), show_progress_bar=False)))

    def queries(self, texts: Sequence[str]) -> Vectors:
        """See :class:`router_plugin.reindexing.index.Embedder`."""
        return unit(np.asarray(self._model.encode_query(list(texts), show_progress_bar=False)))


class ServerEmbedder:
    """A model of a server that ``domain-router serve`` started; documents are embedded like queries there."""

    def __init__(self, client: DomainRouterClient, model: str) -> None:
        """
        Args:
            client: of the server.
            model: as the server knows it, such as ``medical@3``.

        Raises:
            ClientError: the server cannot be asked.
        """
        self._client, self._asked = client, model
        first = client.embed(model, ["dimension"])
        self.model, self.dimension = first.space, first.vectors.shape[1]

    def documents(self, texts: Sequence[str]) -> Vectors:
        """See :class:`router_plugin.reindexing.index.Embedder`.

        Raises:
            ReindexError: the server has another version now.
        """
        found = self._client.embed(self._asked, texts)
        if found.space != self.model:
            raise ReindexError(f"the server embeds by {found.space} now, and not by {self.model}: name a version")
        return found.vectors

    queries = documents
