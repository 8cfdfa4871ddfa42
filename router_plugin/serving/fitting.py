"""Fits the thresholds of routes, and how sure a decision is, to labelled queries."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pydantic
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from registry.errors import OutputError
from registry.shared.outputs import write_atomically
from registry.shared.wording import first_fault
from router_plugin.errors import FittedError

NEAREST = 10
"""Routes of a query that fitting looks at, the nearest ones."""
COMMON = 200
"""So many thresholds are tried for all routes together."""
SWEEPS = 3
MARGIN = 0.02
"""How far a threshold keeps from the scores that it parts, where there is room."""
LEAST_QUERIES = 20
"""So many right and so many wrong decisions are needed to tell how sure one is."""

Floats = NDArray[np.float64]


class Ranked(NamedTuple):
    """The nearest routes of ``n`` queries, the nearest first.

    Attributes:
        routes: their numbers, ``(n, k)``; -1 where there are fewer.
        scores: ``(n, k)``; minus infinity where there are fewer.
        probabilities: of the domain that each query was given to, ``(n,)``.
    """

    routes: NDArray[np.int64]
    scores: Floats
    probabilities: Floats


def ranked(rows: Sequence[tuple[NDArray[np.int64], NDArray[np.float32], float]]) -> Ranked:
    """The nearest routes of queries, given of each the routes, their scores and the domain's probability."""
    width = max(1, min(NEAREST, max((len(routes) for routes, _, _ in rows), default=0)))
    numbers, scores = np.full((len(rows), width), -1), np.full((len(rows), width), -np.inf)
    for row, (routes, found, _) in enumerate(rows):
        order = np.argsort(-found, kind="stable")[:width]
        numbers[row, : len(order)], scores[row, : len(order)] = routes[order], found[order]
    return Ranked(numbers, scores, np.array([probability for _, _, probability in rows]))


class Fitted(pydantic.BaseModel):
    """What was fitted, and what for.

    Attributes:
        thresholds: route to its least score.
        confidence: weights of :func:`features`, the constant first; empty where the queries were too few.
        made_for: settings and model versions under which scores mean the same.
    """

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    thresholds: dict[str, float]
    confidence: tuple[float, ...]
    made_for: dict[str, str]

    def save(self, path: Path) -> None:
        """Write it as JSON, whole or not at all.

        Raises:
            FittedError: it cannot be written.
        """
        try:
            write_atomically(path, self.model_dump_json(indent=2) + "\n")
        except OutputError as error:
            raise FittedError(str(error)) from error

    @classmethod
    def load(cls, path: Path) -> Fitted:
        """Read it.

        Raises:
            FittedError: the file cannot be read, or is not what :meth:`save` writes.
        """
        try:
            return cls.model_validate_json(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise FittedError(f"{path}: cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise FittedError(f"{path}: is not UTF-8 text") from error
        except pydantic.ValidationError as error:
            raise FittedError(
                f"{path}: is not what 'domain-router routes fit' writes: {first_fault(error, 'the file')}"
            ) from error


def fit_thresholds(ranked: Ranked, labels: NDArray[np.int64], start: Floats) -> Floats:
    """The thresholds under which most queries get their label.

    First one for all routes, so that the few queries of no route tell something of each. Then each route's in turn, the
    others' standing, until nothing changes (coordinate ascent); where several are as good, the one nearest to the
    present is taken. A route that no query is labelled with keeps its own.

    Args:
        ranked: the queries' nearest routes.
        labels: the right route's number, ``(n,)``; -1 for none.
        start: ``(routes,)``.
    """
    known = np.unique(labels[labels >= 0])
    thresholds = _common(ranked, labels, start, known)
    for _ in range(SWEEPS):
        before = thresholds.copy()
        for route in known.tolist():
            thresholds[route] = _best_threshold(ranked, labels, thresholds, route)
        if np.array_equal(before, thresholds):
            break
    return thresholds


def fit_confidence(ranked: Ranked, labels: NDArray[np.int64]) -> tuple[float, ...]:
    """Weights of a logistic regression of whether the nearest route is right; none where the queries are too few.

    Platt, 1999, "Probabilistic Outputs for Support Vector Machines".
    """
    right = (ranked.routes[:, 0] == labels) & (labels >= 0)
    if min(right.sum(), (~right).sum()) < LEAST_QUERIES:
        return ()
    scores = np.where(np.isfinite(ranked.scores), ranked.scores, -1)
    second = scores[:, 1] if scores.shape[1] > 1 else np.full(len(scores), -1.0)
    model = LogisticRegression(max_iter=1000).fit(features(scores[:, 0], second, ranked.probabilities), right)
    return (float(model.intercept_[0]), *map(float, model.coef_[0]))


def confidence(weights: Sequence[float], score: float, other: float, probability: float) -> float:
    """Probability that a route is right.

    Args:
        weights: see :func:`fit_confidence`.
        score: the route's.
        other: the best of any other route.
        probability: of the query's domain.
    """
    row = features(np.array([score]), np.array([other]), np.array([probability]))
    return float(expit(weights[0] + row[0] @ np.array(weights[1:])))


def features(scores: Floats, others: Floats, probabilities: Floats) -> Floats:
    """What tells how sure a route is, ``(n, 3)``: its score, its lead over the next, and the domain's probability.

    Cosines are stretched, so that their weights are of the size of the probability's.
    """
    return np.stack([10 * scores, 10 * (scores - others), probabilities], axis=1)


def _common(ranked: Ranked, labels: NDArray[np.int64], start: Floats, known: NDArray[np.int64]) -> Floats:
    """The thresholds with one for all the known routes, if more queries are right then; the middle one of the best."""
    nearest = ranked.scores[np.isfinite(ranked.scores[:, 0]), 0]
    tried: list[Floats] = [start.copy() for _ in range(COMMON + 1)]
    if not len(nearest):
        return tried[0]
    for thresholds, common in zip(tried[1:], np.linspace(nearest.min(), nearest.max(), COMMON), strict=True):
        thresholds[known] = np.clip(common, -1, 1)
    right = np.array([(_first(ranked.routes, _accepted(ranked, each)) == labels).sum() for each in tried])
    best = np.flatnonzero(right == right.max())
    return tried[0 if best[0] == 0 else best[len(best) // 2]]


def _best_threshold(ranked: Ranked, labels: NDArray[np.int64], thresholds: Floats, route: int) -> float:
    """The threshold of one route under which most queries are right."""
    there = ranked.routes == route
    accepted = _accepted(ranked, thresholds) & ~there
    column = there.argmax(axis=1)
    open_rows = there.any(axis=1) & ~(accepted & (np.arange(there.shape[1]) < column[:, None])).any(axis=1)
    rows = np.flatnonzero(open_rows)
    if not len(rows):
        return float(thresholds[route])
    else_chosen = _first(ranked.routes[rows], accepted[rows])
    gain = (labels[rows] == route).astype(np.int64) - (else_chosen == labels[rows])
    scores = ranked.scores[rows, column[rows]]
    order = np.argsort(-scores, kind="stable")
    sums = np.concatenate([[0], np.cumsum(gain[order])])
    bounds = np.concatenate([[1.0], scores[order], [np.nextafter(-1.0, -2)]])
    between = np.flatnonzero(bounds[:-1] > bounds[1:])  # equal scores cannot be parted
    spaces = [(bounds[cut + 1], bounds[cut]) for cut in between if sums[cut] == sums[between].max()]
    points = [_within(thresholds[route], low, high) for low, high in spaces]
    return min(points, key=lambda point: abs(point - thresholds[route]), default=float(thresholds[route]))


def _within(point: float, low: float, high: float) -> float:
    """The nearest number between two others that keeps from them."""
    margin = min(MARGIN, (high - low) / 2)
    return float(np.clip(np.clip(point, low + margin, high - margin), -1, 1))


def _accepted(ranked: Ranked, thresholds: Floats) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = (ranked.routes >= 0) & (ranked.scores >= thresholds[ranked.routes])
    return found


def _first(routes: NDArray[np.int64], accepted: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The nearest accepted route of each query, ``(n,)``; -1 for none."""
    column = accepted.argmax(axis=1)
    rows = np.arange(len(routes))
    found: NDArray[np.int64] = np.where(accepted[rows, column], routes[rows, column], -1)
    return found
