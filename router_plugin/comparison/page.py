"""A comparison of serving configurations as one HTML page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from registry.shared.html import page, table
from router_plugin.comparison.measuring import Figures
from router_plugin.comparison.strategies import Comparison

WIDTH, HEIGHT = 520, 320
COLUMNS = (
    "configuration",
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
    "unadapted": "one encoder, without adaptation",
    "multi": "one encoder, adapted to all domains together",
    "two_stage": "the classifier picks the domain, whose encoder picks the route",
    "ensemble": "the encoders of the most probable domains, the less probable ones with a discount",
    "oracle": "two-stage routing with the right domain given: the result of a perfect classifier",
}


def rows(comparison: Comparison) -> list[tuple[str, ...]]:
    """The figures of every configuration under :data:`COLUMNS`, as text."""
    return [_row(each) for each in comparison.configurations]


def by_domain(comparison: Comparison) -> tuple[list[str], list[tuple[str, ...]]]:
    """Accuracy and MRR@5 by domain: the columns, and a row for each domain."""
    measured = comparison.configurations
    found = [
        (
            name,
            str(measured[0].by_domain[name].questions),
            *(f"{each.by_domain[name].accuracy:.3f} {each.by_domain[name].mrr:.3f}" for each in measured),
        )
        for name in sorted({name for each in measured for name in each.by_domain})
    ]
    return ["domain", "questions", *(each.configuration for each in measured)], found


def comparison_page(comparison: Comparison, title: str) -> str:
    """The page.

    Args:
        comparison: the figures.
        title: what was compared.
    """
    columns, domains = by_domain(comparison)
    legend = "".join(
        f"<li><b>{escape(each.configuration)}</b>: {ABOUT[each.configuration]}</li>"
        for each in comparison.configurations
    )
    return page(
        title,
        f"""<div class="scroll">{table(COLUMNS, rows(comparison), text=2)}</div>
<ul>{legend}</ul>
<figure>{_plot(comparison.configurations)}
<figcaption>Accuracy against the median time of a query: up and to the left is better</figcaption></figure>
<h2>By domain</h2>
<p>Accuracy and MRR@5 of the questions of each domain.</p>
<div class="scroll">{table(columns, domains)}</div>""",
    )


def _row(each: Figures) -> tuple[str, ...]:
    return (
        each.configuration,
        each.adding_trains_on,
        f"{each.quality.accuracy:.4f}",
        f"{each.quality.mrr:.4f}",
        f"{each.routed:.4f}",
        _share(each.out_of_scope_recall),
        _share(each.out_of_scope_auroc),
        _share(each.domain_accuracy),
        f"{each.median_ms:.1f}",
        f"{each.p99_ms:.1f}",
        f"{each.resident_mb:.0f}",
        f"{each.ready_s:.1f}",
        str(each.adding_embeds),
    )


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _plot(figures: Sequence[Figures]) -> str:
    slowest = max(each.median_ms for each in figures) * 1.15
    qualities = [each.quality.accuracy for each in figures]
    low, high = max(0.0, min(qualities) - 0.02), min(1.0, max(qualities) + 0.02)
    points = "".join(_points(figures, slowest, low, high))
    return f"""<svg width="{WIDTH + 60}" height="{HEIGHT + 40}" viewBox="-50 -10 {WIDTH + 60} {HEIGHT + 40}" role="img">
<rect width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="var(--frame)"/>{points}
<text x="-6" y="{HEIGHT}" text-anchor="end">{low:.3f}</text><text x="-6" y="8" text-anchor="end">{high:.3f}</text>
<text x="0" y="{HEIGHT + 16}">0 ms</text>
<text x="{WIDTH}" y="{HEIGHT + 16}" text-anchor="end">{slowest:.0f} ms</text></svg>"""


def _points(figures: Sequence[Figures], slowest: float, low: float, high: float) -> Iterable[str]:
    for each in figures:
        x = WIDTH * each.median_ms / slowest
        y = HEIGHT * (1 - (each.quality.accuracy - low) / (high - low))
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="var(--after)"/>'
        yield f'<text x="{x - 8:.1f}" y="{y + 4:.1f}" text-anchor="end">{escape(each.configuration)}</text>'
