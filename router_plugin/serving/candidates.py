"""The candidates of one encoder: the utterances of routes, embedded, and how near queries are to the routes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from router_plugin.routes import Route
from router_plugin.settings import Aggregation

Matrix = NDArray[np.float32]


class Candidates:
    """Routes and their embedded utterances, ``(u, d)``. Never changed.

    Attributes:
        routes: each with at least one utterance.
    """

    def __init__(self, routes: Sequence[Route], matrix: Matrix) -> None:
        self.routes = tuple(routes)
        self._matrix = matrix
        self._counts = np.array([len(route.utterances) for route in routes], dtype=np.int64)
        self._starts = np.cumsum(self._counts) - self._counts

    @classmethod
    def embedded(
        cls, routes: Sequence[Route], embed: Callable[[Sequence[str]], Matrix], previous: Candidates | None = None
    ) -> Candidates:
        """Embed routes.

        Args:
            routes: at least one.
            embed: texts to unit vectors, ``(n, d)``.
            previous: candidates of the same encoder, whose utterances are not embedded again.
        """
        known = {} if previous is None else previous._by_text()
        texts = [text for route in routes for text in route.utterances]
        new = list(dict.fromkeys(text for text in texts if text not in known))
        known |= zip(new, embed(new), strict=True) if new else ()
        return cls(routes, np.stack([known[text] for text in texts]))

    def scores(self, queries: Matrix, aggregation: Aggregation = "max", top_k: int = 1) -> Matrix:
        """Cosine of every query ``(n, d)`` with every route, over its utterances: ``(n, len(routes))``."""
        cosines: Matrix = queries @ self._matrix.T
        if aggregation == "max" or (aggregation == "top-k" and top_k == 1):
            found: Matrix = np.maximum.reduceat(cosines, self._starts, axis=1)
            return found
        if aggregation == "mean":
            return (np.add.reduceat(cosines, self._starts, axis=1) / self._counts).astype(np.float32)
        return np.stack([self._mean_of_nearest(row, top_k) for row in cosines])

    def _mean_of_nearest(self, cosines: Matrix, top_k: int) -> Matrix:
        route = np.repeat(np.arange(len(self.routes)), self._counts)
        order = np.lexsort((-cosines, route))
        rank = np.arange(len(order)) - np.repeat(self._starts, self._counts)
        kept = np.where(rank < top_k, cosines[order], np.float32(0))
        return (np.add.reduceat(kept, self._starts) / np.minimum(self._counts, top_k)).astype(np.float32)

    def nearest(self, query: Matrix, limit: int) -> list[tuple[str, str, float]]:
        """The utterances nearest to a query ``(d,)``, the nearest first: route, utterance, cosine."""
        owner = [(route.name, text) for route in self.routes for text in route.utterances]
        cosines = self._matrix @ query
        return [(*owner[row], float(cosines[row])) for row in np.argsort(-cosines, kind="stable")[:limit].tolist()]

    def _by_text(self) -> dict[str, Matrix]:
        texts = (text for route in self.routes for text in route.utterances)
        return dict(zip(texts, self._matrix, strict=True))
