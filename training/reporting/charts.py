"""Charts as inline SVG: a metric with its intervals, histograms side by side, a map of pairs."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 280, 200
SIDE = 420
_LABELS = 6


class Point(NamedTuple):
    """A value with its interval; ``marked`` stands out."""

    name: str
    value: float
    low: float
    high: float
    marked: bool


class Link(NamedTuple):
    """Two points of a map that belong together: places from 0 to 1, a class of colour, and words on hovering."""

    query: tuple[float, float]
    document: tuple[float, float]
    colour: str
    words: str


def intervals(points: Sequence[Point]) -> str:
    """Values from left to right, joined, each with its interval."""
    low, high = min(point.low for point in points), max(point.high for point in points)
    margin = max(0.1 * (high - low), 0.005)
    low, high = low - margin, high + margin

    def up(value: float) -> str:
        return f"{HEIGHT * (1 - (value - low) / (high - low)):.1f}"

    across = [WIDTH * (number + 0.5) / len(points) for number in range(len(points))]
    every = -(-len(points) // _LABELS)
    joined = " ".join(f"{x:.1f},{up(point.value)}" for x, point in zip(across, points, strict=True))
    marks = [f'<polyline points="{joined}" fill="none" stroke="var(--frame)"/>']
    for number, (x, point) in enumerate(zip(across, points, strict=True)):
        colour = "var(--after)" if point.marked else "var(--before)"
        marks.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{up(point.low)}" y2="{up(point.high)}" stroke="{colour}" '
            f'stroke-width="2"/><circle cx="{x:.1f}" cy="{up(point.value)}" r="5" fill="{colour}">'
            f"<title>{escape(point.name)}: {point.value:.4f}, {point.low:.4f} to {point.high:.4f}</title></circle>"
        )
        if number % every == 0:
            marks.append(f'<text x="{x:.1f}" y="{HEIGHT + 16}" text-anchor="middle">{escape(point.name)}</text>')
    ticks = "".join(
        f'<text x="-6" y="{float(up(value)) + 4:.1f}" text-anchor="end">{value:.3f}</text>'
        for value in np.linspace(low, high, 5)[1:-1]
    )
    return _plot(WIDTH, HEIGHT, "".join(marks) + ticks)


def histograms(bins: Sequence[str], before: Sequence[int], after: Sequence[int]) -> str:
    """Counts of two sides in the same bins, bar beside bar."""
    most, width = max(*before, *after, 1), 2 * WIDTH
    step = width / len(bins)
    marks = []
    for number, (name, *counts) in enumerate(zip(bins, before, after, strict=True)):
        for side, (count, colour) in enumerate(zip(counts, ("before", "after"), strict=True)):
            tall, x = HEIGHT * 0.9 * count / most, step * (number + 0.12 + 0.38 * side)
            marks.append(
                f'<rect x="{x:.1f}" y="{HEIGHT - tall:.1f}" width="{0.36 * step:.1f}" height="{tall:.1f}" '
                f'fill="var(--{colour})"><title>{name}: {count}</title></rect>'
                f'<text x="{x + 0.18 * step:.1f}" y="{HEIGHT - tall - 4:.1f}" text-anchor="middle">{count or ""}</text>'
            )
        marks.append(f'<text x="{step * (number + 0.5):.1f}" y="{HEIGHT + 16}" text-anchor="middle">{name}</text>')
    return _plot(width, HEIGHT, "".join(marks))


def scatter(links: Sequence[Link], others: NDArray[np.float64]) -> str:
    """Queries as dots, each joined to its document, a square, among other documents.

    Args:
        links: the pairs.
        others: places of the other documents, ``(n, 2)``, from 0 to 1.
    """
    marks = [f'<circle cx="{SIDE * x:.0f}" cy="{SIDE * y:.0f}" r="2" fill="var(--frame)"/>' for x, y in others]
    for link in links:
        (x, y), (to_x, to_y) = ((SIDE * across, SIDE * down) for across, down in (link.query, link.document))
        marks.append(
            f'<g fill="var(--{link.colour})" stroke="var(--{link.colour})"><title>{escape(link.words)}</title>'
            f'<line x1="{x:.0f}" y1="{y:.0f}" x2="{to_x:.0f}" y2="{to_y:.0f}" stroke-opacity=".5"/>'
            f'<circle cx="{x:.0f}" cy="{y:.0f}" r="3"/>'
            f'<rect x="{to_x - 3:.0f}" y="{to_y - 3:.0f}" width="6" height="6" fill="var(--ground)"/></g>'
        )
    return _plot(SIDE, SIDE, "".join(marks))


def _plot(width: int, height: int, marks: str) -> str:
    box = f"-45 -10 {width + 60} {height + 34}"
    frame = f'<rect x="-3" y="-3" width="{width + 6}" height="{height + 6}" fill="none" stroke="var(--frame)"/>'
    return f'<svg width="{width + 60}" height="{height + 34}" viewBox="{box}" role="img">{frame}{marks}</svg>'
