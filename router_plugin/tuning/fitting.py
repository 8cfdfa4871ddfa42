"""Fits the thresholds of routes, and the confidence of decisions, to labelled queries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from router_plugin.cosines import TOLERANCE, reaches
from router_plugin.evaluation.fitted import Floats, features

NEAREST = 10
"""Routes of a query that fitting looks at, the nearest ones."""
COMMON = 200
"""Thresholds that are tried for all routes together."""
SWEEPS = 3
"""Times that every route's threshold is fitted, while the others stay."""
MARGIN = 0.02
"""Distance of a threshold from the scores on both sides of it, where the gap allows it."""
MIN_QUERIES = 20
"""Right decisions, and wrong ones, that fitting the confidence takes at least."""


class NearestRoutes(NamedTuple):
    """The nearest routes of ``n`` queries, the nearest first.

    Attributes:
        routes: their numbers, ``(n, k)``; -1 where there are fewer.
        scores: ``(n, k)``; minus infinity where there are fewer.
        probabilities: of the domain that each query went to, ``(n,)``.
    """

    routes: NDArray[np.int64]
    scores: Floats
    probabilities: Floats


def nearest_routes(rows: Sequence[tuple[NDArray[np.int64], Floats, float]]) -> NearestRoutes:
    """The nearest routes of queries, from the routes of each query, their scores and the domain's probability."""
    width = max(1, min(NEAREST, max((len(routes) for routes, _, _ in rows), default=0)))
    numbers, scores = np.full((len(rows), width), -1), np.full((len(rows), width), -np.inf)
    for row, (routes, found, _) in enumerate(rows):
        order = np.argsort(-found, kind="stable")[:width]
        numbers[row, : len(order)], scores[row, : len(order)] = routes[order], found[order]
    return NearestRoutes(numbers, scores, np.array([probability for _, _, probability in rows]))


def fit_thresholds(nearest: NearestRoutes, labels: NDArray[np.int64], start: Floats) -> Floats:
    """The thresholds with which most queries get their label, ``(routes,)``.

    First one threshold is fitted for all routes, so that the few queries without a route count for every route. Then
    each route's is fitted in turn while the others stay, until nothing changes (coordinate ascent). Of several that are
    equally good, the nearest to the present one is taken. A route without labelled queries keeps its threshold.

    Args:
        nearest: the queries' nearest routes.
        labels: number of the right route, ``(n,)``; -1 for none.
        start: the present thresholds, ``(routes,)``.
    """
    known = np.unique(labels[labels >= 0])
    thresholds = _common(nearest, labels, start, known)
    for _ in range(SWEEPS):
        before = thresholds.copy()
        for route in known.tolist():
            thresholds[route] = _best_threshold(nearest, labels, thresholds, route)
        if np.array_equal(before, thresholds):
            break
    return thresholds


def fit_confidence(nearest: NearestRoutes, labels: NDArray[np.int64]) -> tuple[float, ...]:
    """Weights of a logistic regression of whether the nearest route is right; empty where there are too few queries.

    Platt, 1999, "Probabilistic Outputs for Support Vector Machines".
    """
    right = (nearest.routes[:, 0] == labels) & (labels >= 0)
    if min(right.sum(), (~right).sum()) < MIN_QUERIES:
        return ()
    scores = np.where(np.isfinite(nearest.scores), nearest.scores, -1)
    second = scores[:, 1] if scores.shape[1] > 1 else np.full(len(scores), -1.0)
    model = LogisticRegression(max_iter=1000).fit(features(scores[:, 0], second, nearest.probabilities), right)
    return (float(model.intercept_[0]), *map(float, model.coef_[0]))


def _common(nearest: NearestRoutes, labels: NDArray[np.int64], start: Floats, known: NDArray[np.int64]) -> Floats:
    """One threshold for all known routes, if that is better than ``start``; the middle one of the best."""
    best_scores = nearest.scores[np.isfinite(nearest.scores[:, 0]), 0]
    tried: list[Floats] = [start.copy() for _ in range(COMMON + 1)]
    if not len(best_scores):
        return tried[0]
    for thresholds, common in zip(tried[1:], np.linspace(best_scores.min(), best_scores.max(), COMMON), strict=True):
        thresholds[known] = np.clip(common, -1, 1)
    right = np.array([(_first(nearest.routes, _accepted(nearest, each)) == labels).sum() for each in tried])
    best = np.flatnonzero(right == right.max())
    return tried[0 if best[0] == 0 else best[len(best) // 2]]


def _best_threshold(nearest: NearestRoutes, labels: NDArray[np.int64], thresholds: Floats, route: int) -> float:
    """The threshold of one route with which most queries are right."""
    there = nearest.routes == route
    accepted = _accepted(nearest, thresholds) & ~there
    column = there.argmax(axis=1)
    open_rows = there.any(axis=1) & ~(accepted & (np.arange(there.shape[1]) < column[:, None])).any(axis=1)
    rows = np.flatnonzero(open_rows)
    if not len(rows):
        return float(thresholds[route])
    else_chosen = _first(nearest.routes[rows], accepted[rows])
    gain = (labels[rows] == route).astype(np.int64) - (else_chosen == labels[rows])
    scores = nearest.scores[rows, column[rows]]
    order = np.argsort(-scores, kind="stable")
    sums = np.concatenate([[0], np.cumsum(gain[order])])
    bounds = np.concatenate([[1.0], scores[order], [-1 - 2 * MARGIN]])
    between = np.flatnonzero(bounds[:-1] - bounds[1:] > 2 * TOLERANCE)  # no threshold separates equal scores
    spaces = [(bounds[cut + 1], bounds[cut]) for cut in between if sums[cut] == sums[between].max()]
    points = [_within(thresholds[route], low, high) for low, high in spaces]
    return min(points, key=lambda point: abs(point - thresholds[route]), default=float(thresholds[route]))


def _within(point: float, low: float, high: float) -> float:
    """The nearest number to a point that lies between two others, with a margin."""
    margin = min(MARGIN, (high - low) / 2)
    return float(np.clip(np.clip(point, low + margin, high - margin), -1, 1))


def _accepted(nearest: NearestRoutes, thresholds: Floats) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = (nearest.routes >= 0) & reaches(nearest.scores, thresholds[nearest.routes])
    return found


def _first(routes: NDArray[np.int64], accepted: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The nearest accepted route of each query, ``(n,)``; -1 for none."""
    column = accepted.argmax(axis=1)
    rows = np.arange(len(routes))
    found: NDArray[np.int64] = np.where(accepted[rows, column], routes[rows, column], -1)
    return found
