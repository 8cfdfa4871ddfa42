"""The joint space of all domains as an encoder of the library, for any of its indexes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from pydantic import PrivateAttr
from semantic_router.encoders import DenseEncoder
from semantic_router.encoders.base import AsymmetricDenseMixin

from registry import Registry
from registry.paths import PathLike
from registry.shared.texts import clean
from router_plugin.joint_space.own_vectors import own_vector
from router_plugin.joint_space.space import JointSpace
from router_plugin.serving.domains import ServedDomains

SpaceGiven = JointSpace | Registry | PathLike | None
"""A joint space, or the registry whose champions are joined."""


class OfDomain(str):
    """A text whose domain is known. The library hands utterances to its encoder as the route has them.

    Attributes:
        domain: its name.
    """

    domain: str

    def __new__(cls, text: str, domain: str) -> OfDomain:
        """A text of a domain."""
        made = super().__new__(cls, text)
        made.domain = domain
        return made


class UnreadVector(list[float]):
    """The vector of a query that is empty or that no encoder can read, which is near to nothing but the same text.

    Attributes:
        text: the query.
    """

    def __init__(self, vector: Sequence[float], text: str) -> None:
        super().__init__(vector)
        self.text = text


class DomainEncoder(DenseEncoder, AsymmetricDenseMixin):
    """Embeds texts in the joint space of all domains; see :class:`router_plugin.JointSpace`.

    A query goes into the block of the domain that it is classified into; so does a document, unless it is an
    :class:`OfDomain`. Between the blocks the cosine is 0. Safe to use from several threads.

    Attributes:
        name: with the identifier of the joint space; vectors of encoders with different names cannot be compared.
    """

    type: str = "domain"
    _space: JointSpace = PrivateAttr()
    _opened: ServedDomains | None = PrivateAttr(default=None)

    def __init__(self, space: SpaceGiven = None) -> None:
        """
        Args:
            space: a joint space, or a registry, or its folder or URL; see :func:`router_plugin.open_registry`.

        Raises:
            DomainRouterError: see :class:`router_plugin.ServedDomains`.
        """
        opened = None
        if not isinstance(space, JointSpace):
            opened = ServedDomains(space)
            space = JointSpace(opened)
        super().__init__(name=f"joint-space-{space.identifier}")
        self._space, self._opened = space, opened

    @property
    def space(self) -> JointSpace:
        """The joint space."""
        return self._space

    def close(self) -> None:
        """Release the models if they were opened here."""
        if self._opened is not None:
            self._opened.close()

    def encode_queries(self, docs: list[str]) -> list[list[float]]:
        """A unit vector for each query.

        Raises:
            QueryError: a query is not text.
            PluginError: a plugin failed.
        """
        joined = self.space.join(docs)
        return [
            UnreadVector(vector.tolist() if clean(text) else self._of_nothing(), text) if unread else vector.tolist()
            for text, vector, unread in zip(docs, joined.vectors, joined.unread, strict=True)
        ]

    def encode_documents(self, docs: list[str]) -> list[list[float]]:
        """A unit vector for each document.

        Raises:
            JointSpaceError: the domain of an :class:`OfDomain` is unknown.
            QueryError: a document is not text.
            PluginError: a plugin failed.
        """
        domains = [doc.domain if isinstance(doc, OfDomain) else None for doc in docs]
        found: list[list[float]] = self.space.encode_documents(docs, domains).tolist()
        return found

    async def aencode_queries(self, docs: list[str]) -> list[list[float]]:
        """See :meth:`encode_queries`; does not block the event loop."""
        return await asyncio.to_thread(self.encode_queries, docs)

    async def aencode_documents(self, docs: list[str]) -> list[list[float]]:
        """See :meth:`encode_documents`; does not block the event loop."""
        return await asyncio.to_thread(self.encode_documents, docs)

    def __call__(self, docs: list[Any]) -> list[list[float]]:
        """See :meth:`encode_queries`."""
        return self.encode_queries(docs)

    async def acall(self, docs: list[Any]) -> list[list[float]]:
        """See :meth:`encode_queries`; does not block the event loop."""
        return await self.aencode_queries(docs)

    def _of_nothing(self) -> list[float]:
        """For an empty query, in place of a vector in the block of ``general``, which might be near to its routes."""
        found: list[float] = own_vector("", self.space.dimension).tolist()
        return found
