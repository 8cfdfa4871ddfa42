"""What is shown of training runs, one or several: curves, options that differ, and metrics of both sides."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from registry.records import ComparedMetrics, ComparisonRecord
from registry.shared.texts import shortened
from router_plugin.server.runs.reports import Run, RunReport

LONGEST = 200
"""Characters shown of a value."""
POINTS = 2000
"""Of a chart of losses, about."""
CURVES = 40
"""Of a chart of metrics."""
_ITERATION = re.compile(r"(?:(seed-\d+)-)?iteration-(\d+)")

Chart = dict[str, Any]
"""As the console's script draws it."""


class BothSides(NamedTuple):
    """A metric of both models on a test set; the interval is None where it was not computed."""

    base: float
    adapted: float
    interval: ComparisonRecord | None


def loss_chart(report: RunReport) -> Chart:
    """The loss by the step, counted over all iterations, with a curve for each of them."""
    x: list[int] = []
    series: list[dict[str, Any]] = []
    before = 0
    every = max(1, -(-sum(len(curve.steps) for curve in report.losses) // POINTS))
    for curve in report.losses:
        points = list(zip(curve.steps, curve.losses, strict=False))[::-1][::every][::-1]  # the last one stays
        for other in series:
            other["values"] += [None] * len(points)
        series.append({"label": curve.iteration, "values": [None] * len(x) + [loss for _, loss in points]})
        x += [before + step for step, _ in points]
        before = x[-1] if x else 0
    return {"x": x, "series": series, "unit": "loss", "x_label": "step"}


def dev_chart(reports: Mapping[str, RunReport], metric: str) -> Chart:
    """A metric on dev by the iteration, from 0, the base model, with a curve for each run and seed.

    Args:
        reports: by the labels of their curves.
        metric: its name.
    """
    found = (curve for name, each in reports.items() for curve in _curves(name, each, metric))
    curves = dict(islice(found, CURVES))
    x = sorted({number for values in curves.values() for number in values})
    series = [{"label": label, "values": [values.get(number) for number in x]} for label, values in curves.items()]
    return {"x": x, "series": series, "unit": metric, "x_label": "iteration"}


def _curves(label: str, report: RunReport, metric: str) -> Iterator[tuple[str, dict[int, float]]]:
    """The metric of a run by the number of the iteration, for each seed."""
    first = report.measured[0].dev if report.measured else {}
    base = {0: first[metric]} if metric in first else {}
    by_seed: dict[str, dict[int, float]] = {}
    for each in report.measured:
        found = _ITERATION.fullmatch(each.name)
        if found and metric in each.dev:
            by_seed.setdefault(found[1] or "", dict(base))[int(found[2][:9])] = each.dev[metric]
    for seed, values in (by_seed or {"": base}).items():
        yield f"{label} {seed}".strip(), values


def dev_metrics(reports: Sequence[RunReport]) -> list[str]:
    """The metrics that runs measured on dev, those first that decide."""
    known = dict.fromkeys(name for report in reports for each in report.measured for name in each.dev)
    first = [name for name in ("ndcg@10", "mrr@5", "recall@5") if name in known]
    return [*first, *(name for name in known if name not in first)]


def settings_of(report: RunReport) -> dict[str, str]:
    """What a run was made with, as text."""
    counts = {name.replace("_", " "): count for name, count in report.counts.items()}
    known = {"recipe": report.recipe, "base model": report.base_model, "data": report.fingerprint, **counts}
    return {name: _text(value) for name, value in {**known, **report.options}.items()}


def differing(reports: Sequence[RunReport]) -> list[tuple[str, list[str]]]:
    """The settings that are not the same in all runs, each with its value in every run; empty where one has none."""
    every = [settings_of(report) for report in reports]
    names = dict.fromkeys(name for each in every for name in each)
    rows = [(name, [each.get(name, "") for each in every]) for name in names]
    return [(name, values) for name, values in rows if len(set(values)) > 1]


def test_metrics(report: RunReport) -> dict[tuple[str, str], BothSides]:
    """The headline metrics of a run that has finished, by the test set and the metric."""
    if report.report is None:
        return {}
    return {
        (name, metric): BothSides(found.base[metric], found.adapted[metric], found.comparison.get(metric))
        for name, found in report.report.evaluations.items()
        for metric in _headline(found)
    }


def _headline(found: ComparedMetrics) -> list[str]:
    names: list[str] = [
        name for name in ("mrr@5", "recall@5", "ndcg@10") if name in found.base and name in found.adapted
    ]
    return names or sorted(found.base.keys() & found.adapted.keys())


def compared_metrics(runs: Sequence[Run]) -> list[tuple[str, str, list[BothSides | None]]]:
    """Test set, metric, and what every run has of it."""
    every = [test_metrics(run.report) for run in runs]
    keys = dict.fromkeys(key for each in every for key in each)
    return [(*key, [each.get(key) for each in every]) for key in keys]


def _text(value: Any) -> str:
    return shortened(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), LONGEST)
