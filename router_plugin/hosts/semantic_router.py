"""Two-stage routing as a router of the semantic-router 1.x library."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import ValidationError
from semantic_router import Route as HostRoute
from semantic_router.calibration import Calibrator, Method
from semantic_router.routers.base import BaseRouter, FitReport
from semantic_router.schema import RouteChoice

from registry import Registry
from registry.shared.wording import first_fault
from router_plugin.batches import one_text, read_optional_texts, read_texts
from router_plugin.errors import QueryError, RoutesError
from router_plugin.router import DomainRouter
from router_plugin.routes import Route
from router_plugin.settings import Settings

DOMAIN = "domain"
"""The key of a host route's metadata that names its domain or domains."""

NOT_COMPARED = -1.0
"""The library wants a number for every route. No cosine is lower; a route with this one is never answered here."""


class DomainRoutedRouter(BaseRouter):
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
        super().__init__(_host_routes(routes), confidence_threshold, calibrator)
        self.domain_router = DomainRouter(_own(self.routes), registry, base_model=base_model, settings=settings)

    def close(self) -> None:
        """Release the models, and the registry if it was opened here; see :meth:`router_plugin.DomainRouter.close`."""
        self.domain_router.close()

    async def afit(self, X: Iterable[str], y: Iterable[str | None], method: Method = "platt") -> FitReport:
        """As the library's, of any iterables.

        Raises:
            QueryError: a query is not text, or the numbers of queries and labels differ.
        """
        return await super().afit(*_labelled(X, y), method)

    async def aevaluate(self, X: Iterable[str], y: Iterable[str | None]) -> float:
        """As the library's, of any iterables.

        Raises:
            QueryError: a query is not text, or the numbers of queries and labels differ.
        """
        return await super().aevaluate(*_labelled(X, y))

    async def aadd(self, routes: Iterable[HostRoute] | HostRoute) -> None:
        """As the library's.

        Raises:
            RoutesError: something is no route of the library's, or cannot be added; the routes are as before.
        """
        await super().aadd(_host_routes(routes))

    def _bar(self, name: str) -> float | None:
        bar = super()._bar(name)
        return self.domain_router.state.threshold if bar is None and not self.calibrated else bar

    def _choose(
        self, scores: dict[str, float], limit: int | None, threshold: float | None
    ) -> RouteChoice | list[RouteChoice]:
        compared = {name: score for name, score in scores.items() if score > NOT_COMPARED}
        return super()._choose(compared, limit, threshold)

    async def _scores(self, query: str) -> dict[str, float]:
        return (await self._scores_many([one_text(query, "query")]))[0]

    async def _scores_many(self, queries: Sequence[str]) -> list[dict[str, float]]:
        found = await asyncio.to_thread(self.domain_router.examine, read_texts(queries, "queries"))
        return [
            {route.name: NOT_COMPARED for route in scored.state.served.routes} | scored.by_route() for scored in found
        ]

    async def _on_add(self, routes: list[HostRoute]) -> None:
        try:
            await asyncio.to_thread(self.domain_router.set_routes, _own(self.routes))
        except Exception:  # passed on to the caller; the routes are as before
            self.routes = self.routes[: len(self.routes) - len(routes)]
            raise

    async def _on_remove(self, name: str) -> None:
        await asyncio.to_thread(self.domain_router.set_routes, _own(self.routes))


def _labelled(queries: Iterable[str], labels: Iterable[str | None]) -> tuple[list[str], list[str | None]]:
    given, names = read_texts(queries, "X"), read_optional_texts(labels, "y", "no route")
    if len(given) != len(names):
        raise QueryError(f"expected one label for every query: {len(given)} queries, {len(names)} labels")
    return given, names


def _host_routes(routes: Iterable[HostRoute] | HostRoute) -> list[HostRoute]:
    if isinstance(routes, HostRoute):
        return [routes]
    if isinstance(routes, (str, bytes, dict)) or not isinstance(routes, Iterable):
        raise RoutesError(f"`routes`: expected routes of semantic_router, not {type(routes).__name__}")
    found = list(routes)
    for number, each in enumerate(found):
        if not isinstance(each, HostRoute):
            raise RoutesError(f"`routes[{number}]`: expected a semantic_router.Route, not {type(each).__name__}")
    return found


def _own(routes: Sequence[HostRoute]) -> list[Route]:
    return [_own_route(route) for route in routes]


def _own_route(route: HostRoute) -> Route:
    try:
        return Route(
            name=route.name,
            utterances=tuple(route.utterances),
            domain=route.metadata.get(DOMAIN),
            description=route.description,
        )
    except ValidationError as error:
        raise RoutesError(f"route {route.name!r}: {first_fault(error)}") from error
