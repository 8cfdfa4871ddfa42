"""Evaluates the decisions of a router on labelled queries, as ``domain-router routes evaluate`` does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from router_plugin.decision import Decision
from router_plugin.evaluation.classifier import Bin, Floats, calibration_error, reliability
from router_plugin.evaluation.confusions import Confusions, confusions

MISTAKES = 25
CONFUSED = 20
"""Routes of the table of confusions."""
CURVE_POINTS = 100
NO_THRESHOLDS: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True)
class RouteFigures:
    """One route: how many queries have it as label and as prediction, precision, recall, and its threshold if known."""

    route: str
    queries: int
    predicted: int
    precision: float | None
    recall: float | None
    threshold: float | None = None


@dataclass(frozen=True)
class RouteMistake:
    """A query that did not get the route of its label; None stands for no route."""

    query: str
    route: str | None
    predicted: str | None
    score: float | None
    domain: str


@dataclass(frozen=True)
class RouteEvaluation:
    """Figures of a router on labelled queries.

    Attributes:
        queries: their number, without those that are utterances.
        utterances: number of queries that were left out because they are utterances of routes themselves.
        accuracy: fraction that got the route of their label, or correctly got none.
        in_scope_accuracy: the same for queries whose label is a route; None if there are none.
        out_of_scope_recall: fraction of the queries without a route that got none; None if there are none.
        calibration_error: expected calibration error of ``Decision.confidence``; None if that was not fitted.
        routes: every route that is a label or a prediction, by name.
        mistakes: those with the highest scores first, those without a score last.
        confusions: of the routes that are confused most often.
        reliability: bins of ``Decision.confidence``; empty if that was not fitted.
        coverage: fraction of the queries that are decided with some confidence or more, and the fraction of these that
            is right, from the most confident ones to all.
    """

    queries: int
    utterances: int
    accuracy: float
    in_scope_accuracy: float | None
    out_of_scope_recall: float | None
    calibration_error: float | None
    routes: list[RouteFigures]
    mistakes: list[RouteMistake]
    confusions: Confusions
    reliability: list[Bin]
    coverage: list[tuple[float, float]]

    def to_dict(self) -> dict[str, Any]:
        """The figures as JSON can hold them."""
        return asdict(self)


def evaluate_routes(
    decisions: Sequence[Decision],
    labels: Sequence[str | None],
    utterances: int = 0,
    thresholds: Mapping[str, float] = NO_THRESHOLDS,
) -> RouteEvaluation:
    """Compare decisions with the right routes.

    Args:
        decisions: at least one.
        labels: of each decision the right route, None for no route.
        utterances: how many queries were left out because they are utterances.
        thresholds: of routes, by name.
    """
    right = np.array([decision.route == label for decision, label in zip(decisions, labels, strict=True)])
    in_scope = np.array([label is not None for label in labels])
    wrong = [(decision, label) for decision, label in zip(decisions, labels, strict=True) if decision.route != label]
    wrong.sort(key=lambda each: np.inf if each[0].score is None else -each[0].score)
    confidence, hits = _confident(decisions, right.tolist())
    return RouteEvaluation(
        queries=len(labels),
        utterances=utterances,
        accuracy=float(right.mean()),
        in_scope_accuracy=_fraction(right[in_scope].tolist()),
        out_of_scope_recall=_fraction(right[~in_scope].tolist()),
        calibration_error=calibration_error(confidence, hits) if len(hits) else None,
        routes=_by_route(decisions, labels, thresholds),
        mistakes=[
            RouteMistake(decision.query, label, decision.route, decision.score, decision.domain)
            for decision, label in wrong[:MISTAKES]
        ],
        confusions=confusions(labels, decisions, CONFUSED),
        reliability=reliability(confidence, hits),
        coverage=_coverage(confidence, hits),
    )


def _fraction(right: Sequence[bool]) -> float | None:
    return sum(right) / len(right) if right else None


def _by_route(
    decisions: Sequence[Decision], labels: Sequence[str | None], thresholds: Mapping[str, float]
) -> list[RouteFigures]:
    asked, predicted = Counter(labels), Counter(decision.route for decision in decisions)
    hits = Counter(label for decision, label in zip(decisions, labels, strict=True) if decision.route == label)
    return [
        RouteFigures(
            route=name,
            queries=asked[name],
            predicted=predicted[name],
            precision=hits[name] / predicted[name] if predicted[name] else None,
            recall=hits[name] / asked[name] if asked[name] else None,
            threshold=thresholds.get(name),
        )
        for name in sorted({name for name in (*asked, *predicted) if name is not None})
    ]


def _confident(decisions: Sequence[Decision], right: Sequence[bool]) -> tuple[Floats, NDArray[np.bool_]]:
    """The confidence of the decisions that have one, and whether each of them is right."""
    found = [(each.confidence, hit) for each, hit in zip(decisions, right, strict=True) if each.confidence is not None]
    return np.array([each for each, _ in found], dtype=float), np.array([hit for _, hit in found], dtype=bool)


def _coverage(confidence: Floats, hits: NDArray[np.bool_]) -> list[tuple[float, float]]:
    if not len(hits):
        return []
    order = np.argsort(-confidence, kind="stable")
    counts = np.flatnonzero(np.diff(confidence[order], append=-1.0)) + 1  # equal ones are decided together
    accuracy = np.cumsum(hits[order])[counts - 1] / counts
    points = np.unique(np.linspace(0, len(counts) - 1, CURVE_POINTS).astype(np.int64))
    return list(zip((counts[points] / len(hits)).tolist(), accuracy[points].tolist(), strict=True))
