"""Two-stage routing as a router of the library, with one matrix of candidates for each domain."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path

from semantic_router import Route as HostRoute
from semantic_router.calibration import Calibrator

from registry import Registry
from router_plugin.batches import one_text, read_texts
from router_plugin.hosts.semantic_router.compared import NOTHING_COMPARED, OnlyCompared
from router_plugin.hosts.semantic_router.host_routes import own_routes, read_host_routes
from router_plugin.router import DomainRouter
from router_plugin.settings import Settings


class DomainRoutedRouter(OnlyCompared):
    """Scores the host's routes by two-stage routing; ``fit``, thresholds, ``Chain`` and ``Merge`` work as usual.

    A route belongs to the domain in ``metadata["domain"]``, or to the domains of such a list, or without it to all.
    Its score is the cosine with the nearest utterance in the space of the query's domain, or what the strategy of the
    settings makes of several. A route that this does not compare is never answered; nor is any for a query that is
    empty or that the model cannot read.

    Without a ``confidence_threshold`` that of the settings holds, as for :class:`router_plugin.DomainRouter`, until
    ``fit`` makes probabilities of the scores; -1 is none.
    """

    def __init__(
        self,
        routes: Iterable[HostRoute] | HostRoute = (),
        registry: Registry | Path | str | None = None,
        *,
        base_model: str | None = None,
        settings: Settings | None = None,
        confidence_threshold: float | None = None,
        calibrator: Calibrator | None = None,
    ) -> None:
        """See :class:`router_plugin.DomainRouter` and semantic-router's ``BaseRouter``."""
        super().__init__(read_host_routes(routes), confidence_threshold, calibrator)
        self.domain_router = DomainRouter(own_routes(self.routes), registry, base_model=base_model, settings=settings)

    def close(self) -> None:
        """Release the models, and the registry if it was opened here; see :meth:`router_plugin.DomainRouter.close`."""
        self.domain_router.close()

    def _bar(self, name: str | None) -> float | None:
        bar = super()._bar(name)
        return self.domain_router.state.threshold if bar is None and not self.calibrated else bar

    async def _scores(self, query: str) -> dict[str, float]:
        return (await self._scores_many([one_text(query, "query")]))[0]

    async def _scores_many(self, queries: Sequence[str]) -> list[dict[str, float]]:
        found = await asyncio.to_thread(self.domain_router.scores, read_texts(queries, "queries"))
        return [scores or dict(NOTHING_COMPARED) for scores in found]

    async def _on_add(self, routes: list[HostRoute]) -> None:
        try:
            await asyncio.to_thread(self.domain_router.set_routes, own_routes(self.routes))
        except Exception:  # passed on to the caller; the routes are as before
            self.routes = self.routes[: len(self.routes) - len(routes)]
            raise

    async def _on_remove(self, name: str) -> None:
        await asyncio.to_thread(self.domain_router.set_routes, own_routes(self.routes))
