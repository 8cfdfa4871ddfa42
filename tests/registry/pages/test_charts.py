"""Charts: places and ticks are right, nothing overlaps, and words of the data stay words."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest

from registry.pages.charts import (
    Interval,
    Pair,
    Plot,
    Point,
    bubbles,
    curve,
    intervals,
    labelled_points,
    pair_map,
    paired_bars,
)

HOSTILE = "\"><script>alert('&')</script>"
CHARTS = {
    "intervals": lambda words: intervals(words, [Interval(words, words, 0.5, 0.4, 0.6)]),
    "paired bars": lambda words: paired_bars(words, [words], [1], [2]),
    "bubbles": lambda words: bubbles(words, [Point(0.5, 0.5, words, words, 1.0)], words, words),
    "curve": lambda words: curve(words, [(0.0, 0.0), (1.0, 1.0)], words, words),
    "labelled points": lambda words: labelled_points(words, [Point(3, 0.5, words)], (0, 9), (0, 1), words, words),
    "pair map": lambda words: pair_map(words, [Pair((0, 0), (1, 1), "good", words)], [(0.5, 0.5)]),
}


def read(chart: str) -> ElementTree.Element:
    return ElementTree.fromstring(chart)


def texts(chart: ElementTree.Element) -> list[str]:
    return [element.text or "" for element in chart.iter("text")]


@pytest.mark.parametrize("kind", CHARTS)
def test_words_of_the_data_stay_words(kind):
    chart = read(CHARTS[kind](HOSTILE))
    assert chart.get("aria-label") == HOSTILE
    assert {element.tag for element in chart.iter()} <= {
        *("svg", "rect", "circle", "line", "polyline", "text", "title", "g")
    }
    if kind not in ("curve", "pair map"):
        assert HOSTILE in texts(chart)


def test_places_are_in_units_of_the_data():
    plot = Plot("", 200, 100, (0, 10), (-1, 1))
    assert plot.at(0, -1) == (0, 100)
    assert plot.at(5, 0) == (100, 50)
    assert plot.at(10, 1) == (200, 0)


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 21.85, ["0", "5", "10", "15", "20"]),
        (0.79, 0.95, ["0.80", "0.85", "0.90", "0.95"]),
        (-0.005, 0.005, ["-0.004", "-0.002", "0.000", "0.002", "0.004"]),
    ],
)
def test_ticks_are_round_numbers(low, high, ticks):
    chart = read(labelled_points("", [], (low, high), (0, 1), "", ""))
    assert texts(chart)[: len(ticks)] == ticks


def test_intervals_have_a_line_to_compare_with_and_room_for_each():
    chart = read(intervals("", [Interval(str(number), "", 0.2, 0.1, 0.3) for number in range(50)], base=0))
    (line,) = (element for element in chart.iter("line") if element.get("stroke-dasharray"))
    (frame,) = (element for element in chart.iter("rect"))
    assert line.get("y1") == line.get("y2") and float(line.get("x2")) == float(frame.get("width")) >= 50 * 16
    assert float(line.get("y1")) > max(float(element.get("cy")) for element in chart.iter("circle"))


def test_ticks_that_would_overlap_are_left_out():
    points = [Interval(f"a long name {number}", "", 0.5, 0.4, 0.6) for number in range(12)]
    shown = [text for text in texts(read(intervals("", points))) if text.startswith("a long")]
    assert 2 <= len(shown) <= 4 and shown[0] == "a long name 0"
