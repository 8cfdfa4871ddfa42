"""The library's indexed router over the joint space: routes go into their domains, and only those compared answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from semantic_router import Route as HostRoute
from semantic_router.index.base import to_routes
from semantic_router.routers import IndexedRouter
from semantic_router.routers.base import in_sync_call
from semantic_router.schema import SparseEmbedding, Utterance

from router_plugin.batches import one_text, read_texts
from router_plugin.errors import JointSpaceError, RoutesError
from router_plugin.hosts.semantic_router.compared import NOTHING_COMPARED, OnlyCompared
from router_plugin.hosts.semantic_router.domain_encoder import DomainEncoder, OfDomain, UnreadVector
from router_plugin.hosts.semantic_router.host_routes import own_route
from router_plugin.serving.texts import same_text

SPACE = "joint_space"
"""The key of a record's metadata in the index that holds the identifier of its vector's joint space."""


class DomainIndexedRouter(OnlyCompared, IndexedRouter):
    """An ``IndexedRouter`` whose encoder is a :class:`DomainEncoder`; its arguments and its indexes are the library's.

    A route goes wholly into the block of its domain: the one in ``metadata["domain"]``, else the likeliest by its
    utterances, of those in such a list or of all. Utterances in the blocks of other domains than the query's, whose
    scores are 0, do not count. A route of which none counts is never answered, whatever the threshold; nor is any for a
    query that is empty, or that no encoder can read unless an utterance is the same text.

    Every record in the index has the identifier of the joint space. An index with vectors of another space, or of an
    unknown one, is refused before anything is written to it.
    """

    encoder: DomainEncoder

    @property
    def aggregate(self) -> Callable[[list[float]], float]:
        """What the score of a route is made by, of the scores of its utterances that were compared."""
        whole: Callable[[list[float]], float] = vars(self)["aggregate"]
        return lambda scores: whole(compared) if (compared := [score for score in scores if score]) else 0.0

    @aggregate.setter
    def aggregate(self, value: Callable[[list[float]], float]) -> None:
        vars(self)["aggregate"] = value

    def refresh(self) -> None:
        """As the library's.

        Raises:
            JointSpaceError: the index has vectors of another space.
        """
        self._fill(self._routes_of(self.index.get_utterances()))

    async def _aget_routes(self) -> list[HostRoute]:
        if in_sync_call():
            return self._routes_of(await asyncio.to_thread(self.index.get_utterances))
        return self._routes_of(await self.index.aget_utterances())

    def _index(self, routes: list[HostRoute]) -> None:
        if not isinstance(self.encoder, DomainEncoder):
            raise RoutesError(f"`encoder`: expected a DomainEncoder, not {type(self.encoder).__name__}")
        placed = [self._placed(route) for route in routes]
        self._routes_of(self.index.get_utterances())
        super()._index(placed)

    def _placed(self, route: HostRoute) -> HostRoute:
        """The route as it is indexed.

        Raises:
            RoutesError: it is malformed, or names an unknown domain.
        """
        own, space = own_route(route), self.encoder.space
        if unknown := [name for name in own.domains if name not in space.domains.names]:
            known = ", ".join(space.domains.names)
            raise RoutesError(f"route {route.name!r}: unknown domain {unknown[0]!r}: expected one of {known}")
        domain = own.domains[0] if len(own.domains) == 1 else space.common_domain(own.utterances, own.domains)
        utterances = [OfDomain(text, domain) for text in own.utterances]
        metadata = {**route.metadata, SPACE: space.identifier}
        return route.model_copy(update={"utterances": utterances, "metadata": metadata})

    def _routes_of(self, records: Iterable[Utterance]) -> list[HostRoute]:
        """The routes of an index.

        Raises:
            JointSpaceError: a record has a vector of another space.
        """
        found = []
        for record in records:
            metadata = dict(record.metadata)
            self._check(record, metadata.pop(SPACE, None))
            found.append(record.model_copy(update={"metadata": metadata}))
        return to_routes(found)

    def _check(self, record: Utterance, identifier: str | None) -> None:
        if identifier == self.encoder.space.identifier:
            return
        advice = f"use another index, such as QdrantIndex(index_name={self.encoder.name!r})"
        if identifier is None:
            said = f"the index holds {record.utterance!r} of route {record.route!r} as another encoder embedded it"
            raise JointSpaceError(f"{said}: {advice}")
        try:
            self.encoder.space.check(identifier)
        except JointSpaceError as error:
            raise JointSpaceError(f"the index cannot be used: {error}: {advice}") from error

    async def _scores(self, query: str) -> dict[str, float]:
        return (await self._scores_many([one_text(query, "query")]))[0]

    async def _scores_many(self, queries: Iterable[str]) -> list[dict[str, float]]:
        texts = read_texts(queries, "queries")
        if not self.routes:  # an index that has never held any cannot be asked
            await self.arefresh()
        return await super()._scores_many(texts) if self.routes else [dict(NOTHING_COMPARED) for _ in texts]

    async def _query(self, dense: list[float], sparse: SparseEmbedding | None) -> dict[str, float]:
        if isinstance(dense, UnreadVector):
            found = self._with_same_text(dense.text)
        else:
            found = {name: score for name, score in (await super()._query(dense, sparse)).items() if score}
        return found or dict(NOTHING_COMPARED)

    def _with_same_text(self, text: str) -> dict[str, float]:
        same = same_text(text)
        return {route.name: 1.0 for route in self.routes if any(same_text(each) == same for each in route.utterances)}
