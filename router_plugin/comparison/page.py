"""A comparison of serving configurations as one HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from registry.pages.charts import Point, labelled_points
from registry.pages.templates import render_html
from router_plugin.comparison.measuring import Figures
from router_plugin.comparison.strategies import Comparison

_TEMPLATE = Path(__file__).with_name("comparison.html")
COLUMNS = (
    "configuration",
    "a new domain trains on",
    "accuracy",
    "p against the best",
    "MRR@5",
    "right with thresholds",
    "p against the best with thresholds",
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
    "adaptive": "the encoder of a domain that is sure, else several and the base model's, with all routes",
    "oracle": "two-stage routing with the right domain given: the result of a perfect classifier",
}


def rows(comparison: Comparison) -> list[tuple[str, ...]]:
    """The figures of every configuration under :data:`COLUMNS`, as text."""
    nearest, right = comparison.p_values("nearest_right"), comparison.p_values("right")
    return [_row(*each) for each in zip(comparison.configurations, nearest, right, strict=True)]


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
    return render_html(
        _TEMPLATE,
        title=title,
        figures=(COLUMNS, rows(comparison)),
        legend=[(each.configuration, ABOUT[each.configuration]) for each in comparison.configurations],
        chart=_chart(comparison.configurations),
        domains=by_domain(comparison),
    )


def _row(each: Figures, nearest_p: float, right_p: float) -> tuple[str, ...]:
    return (
        each.configuration,
        each.adding_trains_on,
        f"{each.quality.accuracy:.4f}",
        f"{nearest_p:.3f}",
        f"{each.quality.mrr:.4f}",
        f"{each.routed:.4f}",
        f"{right_p:.3f}",
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


def _chart(figures: Sequence[Figures]) -> Markup:
    slowest = max(each.median_ms for each in figures) * 1.15
    qualities = [each.quality.accuracy for each in figures]
    low, high = max(0.0, min(qualities) - 0.02), min(1.0, max(qualities) + 0.02)
    points = [Point(each.median_ms, each.quality.accuracy, each.configuration) for each in figures]
    return labelled_points("Accuracy and time", points, (0, slowest), (low, high), "median ms", "accuracy")
