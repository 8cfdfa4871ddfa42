"""The evaluation of a router's decisions as one HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from registry.pages.charts import Shaded, curve, reliability_diagram
from registry.pages.templates import render_html
from router_plugin.decision import NO_ROUTE
from router_plugin.evaluation.routes import RouteEvaluation

MOST_CONFUSED = 20
"""Routes of the table of confusions."""
MOST_ROUTES = 1000
"""Rows of the table of routes: those with the most queries."""
LONGEST = 300
"""Characters shown of a query."""
ROUTE_COLUMNS = ("route", "queries", "predicted", "precision", "recall", "threshold")
MISTAKE_COLUMNS = ("query", "right route", "given to", "domain", "score")
_TEMPLATE = Path(__file__).with_name("routes.html")

Heat = tuple[list[str], list[tuple[str, list[Shaded]]]]
"""The columns of a heat table, and its rows."""


def evaluation_page(evaluation: RouteEvaluation, title: str) -> str:
    """The page; its size is bounded however many routes and queries there are.

    Args:
        evaluation: the figures.
        title: what was evaluated.
    """
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
        confusion=confusion_table(evaluation),
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


def confusion_table(evaluation: RouteEvaluation) -> Heat | None:
    """Queries of the routes that are confused most, by the route that they got; None where none is wrong."""
    counts = {(each.route, each.predicted): each.queries for each in evaluation.confusions}
    names = list(dict.fromkeys(name for pair in counts for name in pair))[:MOST_CONFUSED]
    if not names:
        return None
    asked: dict[str | None, int] = {each.route: each.queries for each in evaluation.routes}
    right: dict[str | None, int] = {each.route: round((each.recall or 0) * each.queries) for each in evaluation.routes}
    if evaluation.out_of_scope_recall is not None:
        asked[None] = evaluation.queries - sum(asked.values())
        right[None] = round(evaluation.out_of_scope_recall * asked[None])

    def cell(row: str | None, column: str | None) -> Shaded:
        count = right.get(row, 0) if row == column else counts.get((row, column), 0)
        return Shaded(str(count or ""), "after" if row == column else "bad", 80 * count / max(asked.get(row, 0), 1))

    return [each or NO_ROUTE for each in names], [
        (row or NO_ROUTE, [cell(row, column) for column in names]) for row in names
    ]


def mistake_rows(evaluation: RouteEvaluation) -> list[Sequence[str]]:
    """A row for each mistake under ``MISTAKE_COLUMNS``."""
    return [
        (
            each.query if len(each.query) <= LONGEST else f"{each.query[:LONGEST]}…",
            each.route or NO_ROUTE,
            each.predicted or NO_ROUTE,
            each.domain,
            _fraction(each.score),
        )
        for each in evaluation.mistakes
    ]


def _fraction(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
