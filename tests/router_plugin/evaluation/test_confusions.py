"""Confusions of routes, and what a change does to decisions."""

from router_plugin.decision import Decision
from router_plugin.evaluation.confusions import DARKEST, confusion_rows, confusions, effect


def decided(*routes):
    return [Decision(f"query {row}", route, 0.5, "general", {}, "base", {}) for row, route in enumerate(routes)]


def test_the_most_confused_routes_come_first_and_none_has_a_row():
    found = confusions(["a", "a", "b", None, "c"], decided("b", "a", "a", "a", "c"), 2)
    assert found.routes == ["a", "b"] and found.counts == [[1, 1], [1, 0]]
    assert found.mistakes == 3 and found.others == 1
    assert confusions(["a", None], decided(None, "a"), 5).routes == ["a", "none"]
    assert confusions(["a"], decided("a"), 5).routes == []


def test_cells_are_as_dark_as_their_part_of_the_row():
    (name, cells), (_, empty) = confusion_rows(["a", "b"], [[1, 3], [0, 0]])
    assert name == "a" and [(each.text, each.colour) for each in cells] == [("1", "good"), ("3", "bad")]
    assert [each.percent for each in cells] == [DARKEST / 4, DARKEST * 3 / 4]
    assert [(each.text, each.percent) for each in empty] == [("", 0), ("", 0)]


def test_broken_queries_come_before_mended_ones():
    labels = ["a", "b", None, "d"]
    found = effect(labels, decided("a", "x", None, "x"), decided("a", "b", "x", "y"))
    assert (found.queries, found.before, found.after) == (4, 2, 2)
    assert [(each.query, each.broken, each.mended) for each in found.changed] == [
        ("query 2", True, False),
        ("query 1", False, True),
        ("query 3", False, False),
    ]
