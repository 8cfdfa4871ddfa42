"""Evaluates the decisions of a router on labelled queries, as ``domain-router routes evaluate`` does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from router_plugin.decision import Decision
from router_plugin.evaluation.classifier import calibration_error

MISTAKES = 25


@dataclass(frozen=True)
class RouteFigures:
    """One route: how many queries have it as label and as prediction, its precision and its recall."""

    route: str
    queries: int
    predicted: int
    precision: float | None
    recall: float | None


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
    """

    queries: int
    utterances: int
    accuracy: float
    in_scope_accuracy: float | None
    out_of_scope_recall: float | None
    calibration_error: float | None
    routes: list[RouteFigures]
    mistakes: list[RouteMistake]

    def to_dict(self) -> dict[str, Any]:
        """The figures as JSON can hold them."""
        return asdict(self)


def evaluate_routes(
    decisions: Sequence[Decision], labels: Sequence[str | None], utterances: int = 0
) -> RouteEvaluation:
    """Compare decisions with the right routes.

    Args:
        decisions: at least one.
        labels: of each decision the right route, None for no route.
        utterances: how many queries were left out because they are utterances.
    """
    right = np.array([decision.route == label for decision, label in zip(decisions, labels, strict=True)])
    in_scope = np.array([label is not None for label in labels])
    wrong = [(decision, label) for decision, label in zip(decisions, labels, strict=True) if decision.route != label]
    wrong.sort(key=lambda each: np.inf if each[0].score is None else -each[0].score)
    return RouteEvaluation(
        queries=len(labels),
        utterances=utterances,
        accuracy=float(right.mean()),
        in_scope_accuracy=_fraction(right[in_scope].tolist()),
        out_of_scope_recall=_fraction(right[~in_scope].tolist()),
        calibration_error=_calibration_error(decisions, right.tolist()),
        routes=_by_route(decisions, labels),
        mistakes=[
            RouteMistake(decision.query, label, decision.route, decision.score, decision.domain)
            for decision, label in wrong[:MISTAKES]
        ],
    )


def _fraction(right: Sequence[bool]) -> float | None:
    return sum(right) / len(right) if right else None


def _by_route(decisions: Sequence[Decision], labels: Sequence[str | None]) -> list[RouteFigures]:
    asked, predicted = Counter(labels), Counter(decision.route for decision in decisions)
    hits = Counter(label for decision, label in zip(decisions, labels, strict=True) if decision.route == label)
    return [
        RouteFigures(
            route=name,
            queries=asked[name],
            predicted=predicted[name],
            precision=hits[name] / predicted[name] if predicted[name] else None,
            recall=hits[name] / asked[name] if asked[name] else None,
        )
        for name in sorted({name for name in (*asked, *predicted) if name is not None})
    ]


def _calibration_error(decisions: Sequence[Decision], right: Sequence[bool]) -> float | None:
    found = [(each.confidence, hit) for each, hit in zip(decisions, right, strict=True) if each.confidence is not None]
    return calibration_error(*(np.array(column) for column in zip(*found, strict=True))) if found else None
