"""What a router found for one text before it decides: the scores of routes, and how they came about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from router_plugin.serving.domain_routes import ServedRoutes
from router_plugin.serving.fitting import confidence

BELOW = "no route is near enough"
NO_ROUTES = "the domain has no routes"


@dataclass(frozen=True)
class Match:
    """The scores of one text in the space of one domain, and how much of them counts."""

    discount: float
    positions: NDArray[np.int64]
    scores: NDArray[np.float32]


def joined(matches: Sequence[Match], routes: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The positions of the routes that one domain at least has, and the best of their discounted scores."""
    if len(matches) == 1:
        return matches[0].positions, matches[0].scores * np.float32(matches[0].discount)
    best = np.full(routes, -np.inf, dtype=np.float32)
    for match in matches:
        best[match.positions] = np.maximum(best[match.positions], np.float32(match.discount) * match.scores)
    positions = np.flatnonzero(best > -np.inf)
    return positions, best[positions]


@dataclass(frozen=True)
class Scored:
    """What was found for one text: the scores of the routes at some positions, of none where nothing was compared."""

    domain: str
    probabilities: dict[str, float]
    timings: dict[str, float]
    truncated: bool
    served: ServedRoutes
    positions: NDArray[np.int64]
    scores: NDArray[np.float32]

    @property
    def probability(self) -> float:
        """Of the domain."""
        return self.probabilities[self.domain]

    def confidence(self, weights: Sequence[float], route: str | None) -> float | None:
        """Probability that the route, or that none of them, is right."""
        if not len(self.positions):
            return None
        names = [self.served.routes[position].name for position in self.positions.tolist()]
        best = names.index(route) if route else int(self.scores.argmax())
        others = np.delete(self.scores, best)
        right = confidence(weights, float(self.scores[best]), float(others.max(initial=-1)), self.probability)
        return right if route else 1 - right

    def by_route(self) -> dict[str, float]:
        names = (self.served.routes[position].name for position in self.positions.tolist())
        return dict(zip(names, self.scores.tolist(), strict=True))

    def nearest(self, most: int) -> list[tuple[str, float]]:
        """The nearest routes and their scores, the nearest first."""
        order = np.argsort(-self.scores, kind="stable")[:most].tolist()
        return [(self.served.routes[self.positions[row]].name, float(self.scores[row])) for row in order]

    def best(self, threshold: float) -> tuple[str | None, float | None, str | None]:
        """The nearest route that reaches its threshold, else the nearest score and why it is no route."""
        if not len(self.positions):
            return None, None, NO_ROUTES
        own = self.served.thresholds[self.positions]
        enough = self.scores >= np.where(np.isnan(own), threshold, own)
        if not enough.any():
            return None, float(self.scores.max()), BELOW
        best = int(np.where(enough, self.scores, -np.inf).argmax())
        return self.served.routes[self.positions[best]].name, float(self.scores[best]), None
