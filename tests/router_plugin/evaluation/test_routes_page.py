"""The page of routing on labelled queries: its figures, its tables, and its size."""

from __future__ import annotations

from router_plugin.decision import Decision
from router_plugin.evaluation.routes import RouteEvaluation, evaluate_routes
from router_plugin.evaluation.routes_page import evaluation_page, figures, route_rows
from tests.training.reporting.test_report_page import Reader


def decided(query: str, route: str | None, confidence: float) -> Decision:
    """A decision."""
    return Decision(query, route, 0.5, "general", {"general": 1.0}, "base", {}, confidence=confidence)


def evaluated() -> RouteEvaluation:
    """Six queries: two of a, one of which got b; one of b; three without a route, one of which got a."""
    routes = ["a", "b", "b", None, None, "a"]
    decisions = [decided(f"query {number}", route, 0.9 - number / 10) for number, route in enumerate(routes)]
    return evaluate_routes(decisions, ["a", "a", "b", None, None, None], thresholds={"a": 0.25, "b": 0.5})


def test_the_figures_are_those_of_the_decisions():
    found = evaluated()
    assert dict(figures(found))["accuracy"] == "0.6667"
    assert route_rows(found) == [
        ("a", "2", "2", "0.500", "0.500", "0.250"),
        ("b", "1", "2", "0.500", "1.000", "0.500"),
    ]
    assert found.confusions.routes == ["a", "b", "none"]
    assert found.confusions.counts == [[1, 1, 0], [0, 1, 0], [1, 0, 2]]


def test_coverage_goes_from_the_most_confident_decision_to_all():
    found = evaluated()
    assert found.coverage[0] == (1 / 6, 1.0) and found.coverage[1] == (2 / 6, 0.5)
    assert found.coverage[-1] == (1.0, found.accuracy)
    same = evaluate_routes([decided("x", "a", 0.5), decided("y", "b", 0.5)], ["a", "a"])
    assert same.coverage == [(1.0, 0.5)]


def test_the_page_is_well_formed_and_loads_nothing():
    page = evaluation_page(evaluated(), "Routing on <b>")
    read = Reader(page)
    assert read.headings == ["Routes", "Confusion", "Mistakes with the highest scores"]
    assert read.addresses == [] and not read.tags & {"script", "b", "link"} and "style=" not in page
    assert page.count("<th ") == page.count("scope=")


def test_nothing_wrong_and_no_confidence_leave_no_gaps():
    found = evaluate_routes([decided("x", "a", 1.0)], ["a"])
    assert "None." in evaluation_page(found, "x") and not found.confusions.routes


def test_what_queries_and_routes_say_is_text_and_the_page_is_small():
    said = ["<script>alert(1)</script>", "\"' onload=x", "\0\u202e", "\ud800", "x" * 10_000]
    names = [f"{said[number % 4]} {number}" for number in range(20_000)]
    decisions = [decided(said[number % 5], name, 0.5) for number, name in enumerate(names)]
    page = evaluation_page(evaluate_routes(decisions, [*names[1:], None]), "many")
    assert "<script>" not in page and len(page.encode()) < 1_000_000
    assert Reader(page).headings[0] == "Routes"
