"""What our routers of the library share: a route that was not compared with the query is never answered."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf

from semantic_router import Route as HostRoute
from semantic_router.calibration import Method
from semantic_router.routers.base import BaseRouter, FitReport
from semantic_router.schema import RouteChoice

from router_plugin.batches import read_optional_texts, read_texts
from router_plugin.errors import QueryError
from router_plugin.hosts.semantic_router.host_routes import read_host_routes

NOT_COMPARED = -1.0
"""No cosine is lower."""

NOTHING_COMPARED: dict[str, float] = {None: NOT_COMPARED}  # type: ignore[dict-item]
"""The scores of a query with which no route was compared.

``Chain`` and ``Merge`` want a best route of each of their routers. This one is called None, as the library calls the
choice of no route: a ``Chain`` goes on to its next router, and whatever answers this answers no route.
"""


class OnlyCompared(BaseRouter):
    """A router whose scores are those of the compared routes alone, else :data:`NOTHING_COMPARED`.

    Queries, labels and routes may be any iterables.
    """

    def _bar(self, name: str | None) -> float | None:
        return inf if name is None else super()._bar(name)

    def _choose(
        self, scores: dict[str, float], limit: int | None, threshold: float | None
    ) -> RouteChoice | list[RouteChoice]:
        return super()._choose({} if scores == NOTHING_COMPARED else scores, limit, threshold)

    async def afit(self, X: Iterable[str], y: Iterable[str | None], method: Method = "platt") -> FitReport:
        """As the library's, without the queries that should get no route and are compared with none.

        For these, no confidence is ever asked, and the library would count the lowest of all scores as right.

        Raises:
            QueryError: a query is not text, or the numbers of queries and labels differ.
        """
        queries, labels = _labelled(X, y)
        without = [row for row, label in enumerate(labels) if label is None]
        scored = await self._scores_many([queries[row] for row in without]) if without else []
        left_out = {row for row, scores in zip(without, scored, strict=True) if scores == NOTHING_COMPARED}
        kept = [row for row in range(len(queries)) if row not in left_out]
        report = await super().afit([queries[row] for row in kept], [labels[row] for row in kept], method)
        self._fit_data = queries, labels, method
        return report

    async def aevaluate(self, X: Iterable[str], y: Iterable[str | None]) -> float:
        """As the library's.

        Raises:
            QueryError: a query is not text, or the numbers of queries and labels differ.
        """
        return await super().aevaluate(*_labelled(X, y))

    async def aadd(self, routes: Iterable[HostRoute] | HostRoute) -> None:
        """As the library's.

        Raises:
            RoutesError: something is no route of the library's, or cannot be added; the routes are as before.
        """
        await super().aadd(read_host_routes(routes))


def _labelled(queries: Iterable[str], labels: Iterable[str | None]) -> tuple[list[str], list[str | None]]:
    given, names = read_texts(queries, "X"), read_optional_texts(labels, "y", "no route")
    if len(given) != len(names):
        raise QueryError(f"expected one label for every query: {len(given)} queries, {len(names)} labels")
    return given, names
