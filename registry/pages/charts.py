"""Charts as inline SVG, in the colours of the page: intervals, bars, points, a curve, and a map of pairs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from markupsafe import Markup, escape

Place = tuple[float, float]
Limits = tuple[float, float]
Ticks = Sequence[tuple[float, str]]

_CHARACTER = 6.5
"""Width of a character of a tick, in pixels."""
_LEAST_APART = 16
"""Pixels between two intervals."""
UNIT: Limits = (0.0, 1.0)
_UNIT_TICKS: Ticks = ((0.0, "0"), (0.5, "0.5"), (1.0, "1"))


class Interval(NamedTuple):
    """A value with its interval, a label below it, a title on hovering, and whether it is highlighted."""

    label: str
    title: str
    value: float
    low: float
    high: float
    marked: bool = False


class Point(NamedTuple):
    """A point of a chart, with a label next to it, a title on hovering, and the area of its circle from 0 to 1."""

    x: float
    y: float
    label: str = ""
    title: str = ""
    weight: float = 0.0


class Pair(NamedTuple):
    """Two places of a map that belong together, from 0 to 1, in a colour of the page, with a title on hovering."""

    start: Place
    end: Place
    colour: str
    title: str


class Shaded(NamedTuple):
    """A cell of a table whose background has 0 to 100 percent of a colour of the page."""

    text: str
    colour: str
    percent: float


@dataclass(frozen=True)
class Plot:
    """A frame in which places are given in units of the data.

    Attributes:
        title: what it shows, for screen readers.
        width: of the frame, in pixels.
        height: of the frame, in pixels.
        x: what is at its left and at its right.
        y: what is at its bottom and at its top.
        x_ticks: places and their words below the frame; those that would overlap are left out.
        y_ticks: the same at the left.
        x_label: below the ticks.
        y_label: left of the ticks.
    """

    title: str
    width: int
    height: int
    x: Limits = UNIT
    y: Limits = UNIT
    x_ticks: Ticks = ()
    y_ticks: Ticks = ()
    x_label: str = ""
    y_label: str = ""

    def at(self, x: float, y: float) -> Place:
        """A place in pixels from the frame's upper left corner."""
        across, up = (x - self.x[0]) / (self.x[1] - self.x[0]), (y - self.y[0]) / (self.y[1] - self.y[0])
        return self.width * across, self.height * (1 - up)

    def circle(self, x: float, y: float, radius: float, title: str = "", **attributes: object) -> Markup:
        """A filled circle."""
        across, down = self.at(x, y)
        return _tag("circle", _title(title), cx=across, cy=down, r=radius, **attributes)

    def line(self, start: Place, end: Place, **attributes: object) -> Markup:
        """A straight line."""
        (x1, y1), (x2, y2) = self.at(*start), self.at(*end)
        return _tag("line", x1=x1, y1=y1, x2=x2, y2=y2, **attributes)

    def lines(self, places: Iterable[Place], **attributes: object) -> Markup:
        """Places joined from first to last."""
        joined = " ".join(f"{_number(x)},{_number(y)}" for x, y in (self.at(*place) for place in places))
        return _tag("polyline", points=joined, fill="none", **attributes)

    def rectangle(self, start: Place, end: Place, title: str = "", **attributes: object) -> Markup:
        """A filled rectangle, given by its lower left and its upper right corner."""
        (left, bottom), (right, top) = self.at(*start), self.at(*end)
        size = {"width": right - left, "height": bottom - top}
        return _tag("rect", _title(title), x=left, y=top, **size, **attributes)

    def text(self, x: float, y: float, words: str, anchor: str = "middle", right: float = 0, down: float = 0) -> Markup:
        """Words at a place, moved by some pixels."""
        across, below = self.at(x, y)
        return _text(words, across + right, below + down, anchor)

    def draw(self, *marks: Markup) -> Markup:
        """The chart with its frame, ticks and labels."""
        frame = _tag("rect", width=self.width, height=self.height, fill="none", stroke="var(--frame)")
        left, below = 45 + (15 if self.y_label else 0), 24 + (18 if self.x_label else 0)
        width, height = self.width + left + 15, self.height + 10 + below
        return _tag(
            "svg",
            frame,
            *marks,
            *self._axes(),
            width=width,
            height=height,
            viewBox=f"{-left} -10 {width} {height}",
            role="img",
            aria_label=self.title,
        )

    def _axes(self) -> Iterable[Markup]:
        widest = _CHARACTER * max((len(words) + 1 for _, words in self.x_ticks), default=0)
        every = max(1, math.ceil(widest * (len(self.x_ticks) - 1) / self.width))
        for x, words in self.x_ticks[::every]:
            yield self.text(x, self.y[0], words, down=16)
        for y, words in self.y_ticks:
            yield self.text(self.x[0], y, words, "end", right=-6, down=4)
        if self.x_label:
            yield _text(self.x_label, self.width / 2, self.height + 34, "middle")
        if self.y_label:
            x, y = -48, self.height / 2
            yield _text(self.y_label, x, y, "middle", transform=f"rotate(-90 {x} {_number(y)})")


def intervals(title: str, points: Sequence[Interval], least_width: int = 280, base: float | None = None) -> Markup:
    """Values from left to right, joined, each with its interval.

    Args:
        title: what it shows, for screen readers.
        points: at least one.
        least_width: of the frame, in pixels; it grows with the points.
        base: a value at which a dashed line is drawn.
    """
    drawn = () if base is None else (base,)
    low, high = min([*drawn, *(point.low for point in points)]), max([*drawn, *(point.high for point in points)])
    margin = max(0.1 * (high - low), 0.005)
    low, high = low - margin, high + margin
    sides = (-0.5, len(points) - 0.5)
    plot = Plot(
        title,
        *(max(least_width, _LEAST_APART * len(points)), 200),
        sides,
        (low, high),
        [(number, point.label) for number, point in enumerate(points)],
        _ticks(low, high),
    )
    marks = [plot.line((sides[0], y), (sides[1], y), stroke="var(--frame)", stroke_dasharray="4 4") for y in drawn]
    marks.append(plot.lines(((number, point.value) for number, point in enumerate(points)), stroke="var(--frame)"))
    for number, point in enumerate(points):
        colour = "var(--after)" if point.marked else "var(--before)"
        marks.append(plot.line((number, point.low), (number, point.high), stroke=colour, stroke_width=2))
        marks.append(plot.circle(number, point.value, 5, point.title, fill=colour))
    return plot.draw(*marks)


def paired_bars(title: str, bins: Sequence[str], before: Sequence[int], after: Sequence[int]) -> Markup:
    """Counts of two sides in the same bins, bar next to bar."""
    top = 1.1 * max(*before, *after, 1)
    plot = Plot(title, 560, 200, (0, len(bins)), (0, top), [(number + 0.5, name) for number, name in enumerate(bins)])
    marks = []
    for number, (name, *counts) in enumerate(zip(bins, before, after, strict=True)):
        for side, (count, colour) in enumerate(zip(counts, ("before", "after"), strict=True)):
            left = number + 0.12 + 0.38 * side
            title = f"{name}: {count}"
            marks.append(plot.rectangle((left, 0), (left + 0.36, count), title, fill=f"var(--{colour})"))
            marks.append(plot.text(left + 0.18, count, str(count or ""), down=-4))
    return plot.draw(*marks)


def bar(value: float, words: str, mark: float | None = None) -> Markup:
    """A bar for a cell of a table, whose number stands beside it.

    Args:
        value: from 0 to 1.
        words: what it shows, on hovering.
        mark: a place with a line across.
    """
    plot = Plot(words, 120, 12)
    drawn = [plot.rectangle((0, 0.15), (min(max(value, 0), 1), 0.85), words, fill="var(--after)")]
    if mark is not None:
        drawn.append(plot.line((mark, 0), (mark, 1), stroke="var(--ink)", stroke_width=2))
    return _tag(
        "svg", plot.line((0, 0), (1, 0), stroke="var(--frame)"), *drawn, width=120, height=12, aria_hidden="true"
    )


def bubbles(title: str, points: Sequence[Point], x_label: str, y_label: str) -> Markup:
    """Points of the unit square, against its diagonal."""
    plot = _unit_square(title, x_label, y_label)
    drawn = [
        plot.circle(
            point.x, point.y, 3 + 9 * math.sqrt(point.weight), point.title, fill="var(--after)", fill_opacity=0.7
        )
        for point in points
    ]
    return plot.draw(_diagonal(plot), *drawn)


def curve(title: str, places: Sequence[Place], x_label: str, y_label: str, *, diagonal: bool = True) -> Markup:
    """A curve through the unit square, perhaps against its diagonal."""
    plot = _unit_square(title, x_label, y_label)
    drawn = plot.lines(places, stroke="var(--after)", stroke_width=2)
    return plot.draw(_diagonal(plot), drawn) if diagonal else plot.draw(drawn)


def reliability_diagram(bins: Sequence[tuple[float, float, int]]) -> Markup:
    """How often predictions of similar confidence are right.

    Args:
        bins: of each the mean confidence, the fraction that is right, and the number of predictions; at least one.
    """
    largest = max(count for _, _, count in bins)
    points = [
        Point(x, y, title=f"{count} queries: confidence {x:.2f}, right {y:.2f}", weight=count / largest)
        for x, y, count in bins
    ]
    return bubbles("Reliability diagram", points, "confidence", "fraction right")


def labelled_points(title: str, points: Sequence[Point], x: Limits, y: Limits, x_label: str, y_label: str) -> Markup:
    """Points with a label left of each."""
    plot = Plot(title, 520, 320, x, y, _ticks(*x), _ticks(*y), x_label, y_label)
    marks = []
    for point in points:
        marks.append(plot.circle(point.x, point.y, 5, point.title, fill="var(--after)"))
        marks.append(plot.text(point.x, point.y, point.label, "end", right=-8, down=4))
    return plot.draw(*marks)


def pair_map(title: str, pairs: Sequence[Pair], others: Iterable[Place]) -> Markup:
    """Pairs of places, each a dot joined to a square, among other places; all from 0 to 1."""
    plot = Plot(title, 420, 420)
    marks = [plot.circle(x, y, 2, fill="var(--frame)") for x, y in others]
    half = 3 / 420
    for start, (x, y), colour, words in pairs:
        square = plot.rectangle((x - half, y - half), (x + half, y + half), fill="var(--ground)")
        marks.append(
            _tag(
                "g",
                _title(words),
                plot.line(start, (x, y), stroke_opacity=0.5),
                plot.circle(*start, 3),
                square,
                fill=f"var(--{colour})",
                stroke=f"var(--{colour})",
            )
        )
    return plot.draw(*marks)


def _unit_square(title: str, x_label: str, y_label: str) -> Plot:
    return Plot(title, 320, 320, UNIT, UNIT, _UNIT_TICKS, _UNIT_TICKS, x_label, y_label)


def _diagonal(plot: Plot) -> Markup:
    return plot.line((0, 0), (1, 1), stroke="var(--frame)", stroke_dasharray="4 4")


def _ticks(low: float, high: float) -> Ticks:
    """At most six round numbers, 1, 2 or 5 times a power of ten apart."""
    power = math.floor(math.log10((high - low) / 5))
    step = next(each for each in (10.0**power * times for times in (1, 2, 5, 10)) if (high - low) / each <= 5)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [(number * step, f"{number * step:.{decimals}f}") for number in range(first, last + 1)]


def _text(words: str, x: float, y: float, anchor: str, **attributes: object) -> Markup:
    return _tag("text", escape(words), x=x, y=y, text_anchor=anchor, **attributes)


def _title(words: str) -> Markup:
    return _tag("title", escape(words)) if words else Markup()


def _tag(name: str, *children: Markup, **attributes: object) -> Markup:
    """An element; underscores in names of attributes are hyphens."""
    given = "".join(f' {key.replace("_", "-")}="{_value(value)}"' for key, value in attributes.items())
    return Markup(f"<{name}{given}>{''.join(children)}</{name}>")


def _value(value: object) -> str:
    return _number(value) if isinstance(value, float) else escape(value)


def _number(value: float) -> str:
    return f"{value:.1f}"
