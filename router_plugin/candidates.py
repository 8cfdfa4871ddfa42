"""The candidates of one domain: the utterances of its routes, embedded by its encoder."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from router_plugin.contracts import Encoder
from router_plugin.routes import Route


class Candidates:
    """Routes and their embedded utterances, ``(u, d)``; a route scores by its nearest utterance."""

    def __init__(self, routes: Sequence[Route], encoder: Encoder) -> None:
        self.routes = tuple(routes)
        self._starts = np.cumsum([0, *(len(route.utterances) for route in routes)])[:-1]
        self._matrix = encoder.encode([text for route in routes for text in route.utterances]) if routes else None

    def scores(self, queries: NDArray[np.float32]) -> NDArray[np.float32]:
        """Cosine of every query ``(n, d)`` with the nearest utterance of every route: ``(n, len(routes))``."""
        if self._matrix is None:
            return np.empty((len(queries), 0), dtype=np.float32)
        nearest: NDArray[np.float32] = np.maximum.reduceat(queries @ self._matrix.T, self._starts, axis=1)
        return nearest
