"""The evaluation of a router's decisions as one HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from registry.pages.charts import curve, reliability_diagram
from registry.pages.templates import render_html
from registry.shared.texts import shortened
from router_plugin.decision import NO_ROUTE
from router_plugin.evaluation.confusions import confusion_rows
from router_plugin.evaluation.routes import RouteEvaluation

MOST_ROUTES = 1000
"""Rows of the table of routes: those with the most queries."""
LONGEST = 300
"""Characters shown of a query."""
ROUTE_COLUMNS = ("route", "queries", "predicted", "precision", "recall", "threshold")
MISTAKE_COLUMNS = ("query", "right route", "given to", "domain", "score")
_TEMPLATE = Path(__file__).with_name("routes.html")


def evaluation_page(evaluation: RouteEvaluation, title: str) -> str:
    """The page; its size is bounded however many routes and queries there are.

    Args:
        evaluation: the figures.
        title: what was evaluated.
    """
    confused = evaluation.confusions
    return render_html(
        _TEMPLATE,
        title=title,
        figures=list(figures(evaluation)),
        reliability=reliability_diagram([each.place for each in evaluation.reliability])
        if evaluation.reliability
        else None,
        coverage=curve("Coverage", evaluation.coverage, "fraction decided", "fraction right", diagonal=False)
        if evaluation.coverage
        else None,
        routes=(ROUTE_COLUMNS, route_rows(evaluation)),
        left_out=max(0, len(evaluation.routes) - MOST_ROUTES),
        confusion=(confused.routes, confusion_rows(confused.routes, confused.counts)),
        mistakes=(MISTAKE_COLUMNS, mistake_rows(evaluation)),
    )


def figures(evaluation: RouteEvaluation) -> Iterator[tuple[str, str]]:
    """Names and values of the figures of all queries together."""
    yield "queries", str(evaluation.queries)
    if evaluation.utterances:
        yield "left out, as they are utterances", str(evaluation.utterances)
    yield "accuracy", f"{evaluation.accuracy:.4f}"
    if evaluation.in_scope_accuracy is not None:
        yield "accuracy on queries with a route", f"{evaluation.in_scope_accuracy:.4f}"
    if evaluation.out_of_scope_recall is not None:
        yield "queries without a route that got none", f"{evaluation.out_of_scope_recall:.4f}"
    if evaluation.calibration_error is not None:
        yield "calibration error", f"{evaluation.calibration_error:.4f}"


def route_rows(evaluation: RouteEvaluation) -> list[Sequence[str]]:
    """A row for each route under ``ROUTE_COLUMNS``, those with the lowest recall first."""
    most = sorted(evaluation.routes, key=lambda each: -each.queries)[:MOST_ROUTES]
    worst = sorted(most, key=lambda each: (each.recall is None, each.recall, each.route))
    return [
        (
            each.route,
            str(each.queries),
            str(each.predicted),
            _fraction(each.precision),
            _fraction(each.recall),
            _fraction(each.threshold),
        )
        for each in worst
    ]


def mistake_rows(evaluation: RouteEvaluation) -> list[Sequence[str]]:
    """A row for each mistake under ``MISTAKE_COLUMNS``."""
    return [
        (
            shortened(each.query, LONGEST),
            each.route or NO_ROUTE,
            each.predicted or NO_ROUTE,
            each.domain,
            _fraction(each.score),
        )
        for each in evaluation.mistakes
    ]


def _fraction(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
