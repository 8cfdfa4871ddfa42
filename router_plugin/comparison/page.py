"""A comparison of ways to serve many domains as one HTML page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from registry.shared.html import page, table
from router_plugin.comparison.strategies import Comparison, Figures

WIDTH, HEIGHT = 520, 320
COLUMNS = (
    "way",
    "a new domain trains on",
    "accuracy",
    "MRR@5",
    "right with thresholds",
    "out-of-scope recall",
    "out-of-scope AUROC",
    "domain accuracy",
    "median ms",
    "p99 ms",
    "resident MB",
    "ready after s",
    "a new domain embeds",
)
ABOUT = {
    "base": "one encoder, adapted to nothing",
    "multi": "one encoder, adapted to all domains together",
    "two_stage": "the classifier picks the domain, whose encoder picks the route",
    "ensemble": "the encoders of the likeliest domains, the less likely ones discounted",
    "oracle": "two-stage routing, told the right domain: what a perfect classifier would give",
}


def rows(comparison: Comparison) -> list[tuple[str, ...]]:
    """The figures of every way under :data:`COLUMNS`, as text."""
    return [_row(way) for way in comparison.ways]


def by_domain(comparison: Comparison) -> tuple[list[str], list[tuple[str, ...]]]:
    """Accuracy and MRR@5 by domain: the columns, and a row a domain."""
    names = sorted({name for way in comparison.ways for name in way.by_domain})
    found = [
        (
            name,
            str(comparison.ways[0].by_domain[name].questions),
            *(f"{way.by_domain[name].accuracy:.3f} {way.by_domain[name].mrr:.3f}" for way in comparison.ways),
        )
        for name in names
    ]
    return ["domain", "questions", *(way.way for way in comparison.ways)], found


def comparison_page(comparison: Comparison, title: str) -> str:
    """The page.

    Args:
        comparison: the figures.
        title: what was compared.
    """
    columns, domains = by_domain(comparison)
    legend = "".join(f"<li><b>{escape(way.way)}</b>: {ABOUT[way.way]}</li>" for way in comparison.ways)
    return page(
        title,
        f"""<div class="scroll">{table(COLUMNS, rows(comparison), text=2)}</div>
<ul>{legend}</ul>
<figure>{_plot(comparison.ways)}
<figcaption>Accuracy against the median time of a query: up and to the left is better</figcaption></figure>
<h2>By domain</h2>
<p>Accuracy and MRR@5 of the questions of each domain.</p>
<div class="scroll">{table(columns, domains)}</div>""",
    )


def _row(way: Figures) -> tuple[str, ...]:
    return (
        way.way,
        way.adding_trains_on,
        f"{way.quality.accuracy:.4f}",
        f"{way.quality.mrr:.4f}",
        f"{way.routed:.4f}",
        _share(way.out_of_scope_recall),
        _share(way.out_of_scope_auroc),
        _share(way.domain_accuracy),
        f"{way.median_ms:.1f}",
        f"{way.p99_ms:.1f}",
        f"{way.resident_mb:.0f}",
        f"{way.ready_s:.1f}",
        str(way.adding_embeds),
    )


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _plot(ways: Sequence[Figures]) -> str:
    slowest = max(way.median_ms for way in ways) * 1.15
    qualities = [way.quality.accuracy for way in ways]
    low, high = max(0.0, min(qualities) - 0.02), min(1.0, max(qualities) + 0.02)
    return f"""<svg width="{WIDTH + 60}" height="{HEIGHT + 40}" viewBox="-50 -10 {WIDTH + 60} {HEIGHT + 40}" role="img">
<rect width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="var(--frame)"/>{"".join(_points(ways, slowest, low, high))}
<text x="-6" y="{HEIGHT}" text-anchor="end">{low:.3f}</text><text x="-6" y="8" text-anchor="end">{high:.3f}</text>
<text x="0" y="{HEIGHT + 16}">0 ms</text>
<text x="{WIDTH}" y="{HEIGHT + 16}" text-anchor="end">{slowest:.0f} ms</text></svg>"""


def _points(ways: Sequence[Figures], slowest: float, low: float, high: float) -> Iterable[str]:
    for way in ways:
        x = WIDTH * way.median_ms / slowest
        y = HEIGHT * (1 - (way.quality.accuracy - low) / (high - low))
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="var(--after)"/>'
        yield f'<text x="{x - 8:.1f}" y="{y + 4:.1f}" text-anchor="end">{escape(way.way)}</text>'
