"""The verdict on a model in rows and words: both models on every test set, broken limits, the gain over seeds."""

from __future__ import annotations

from statistics import mean, stdev

from registry import ModelRecord
from registry.model_folders.variants import VariantRecord
from registry.records import TEST, ComparedMetrics, ComparisonRecord
from training.reporting.report import TrainingReport
from training.retrieval.metrics import HEADLINE

MEASURE = HEADLINE[0]
MAX_SHORTFALL = 0.005
"""How much lower the ``MEASURE`` of a variant on dev may be than that of its model."""

MAX_P_VALUE = 0.05
"""From this p-value on, a difference may be chance; the interval over a handful of queries does not say so."""

_COMPARED = (f"base {MEASURE}", f"adapted {MEASURE}", "difference", "95 % interval", "p")
EVALUATION_COLUMNS = ("test set", "queries", *_COMPARED, "max. loss")
METRIC_COLUMNS = ("metric", "base", "adapted", "gain")
DIMS_COLUMNS = ("dimensions", *_COMPARED)
SEED_COLUMNS = ("test set", "mean gain", "standard deviation", "gains")

Row = tuple[str, ...]


def evaluation_rows(record: ModelRecord) -> list[Row]:
    """A row for each test set, the domain's own first, under the columns ``EVALUATION_COLUMNS``."""
    rows: list[Row] = []
    for name, found in record.evaluations.items():
        limit = "" if found.max_loss is None else f"{found.max_loss:g}: {'BROKEN' if found.lost_too_much else 'kept'}"
        rows.append((name, str(found.queries), *_compared(found), limit))
    return rows


def _compared(found: ComparedMetrics) -> Row:
    """The cells under ``_COMPARED``."""
    base, adapted, comparison = found.base[MEASURE], found.adapted[MEASURE], found.comparison.get(MEASURE)
    return (
        f"{base:.4f}",
        f"{adapted:.4f}",
        f"{adapted - base:+.4f}",
        f"{comparison.low:+.4f} to {comparison.high:+.4f}" if comparison else "",
        f"{comparison.p_value:.4f}" if comparison else "",
    )


def metric_rows(record: ModelRecord) -> list[Row]:
    """A row for every metric on the domain's own test split, under the columns ``METRIC_COLUMNS``."""
    base, adapted = record.base_metrics[TEST], record.adapted_metrics[TEST]
    return [(name, f"{base[name]:.4f}", f"{adapted[name]:.4f}", f"{adapted[name] - base[name]:+.4f}") for name in base]


def headline_gains(record: ModelRecord) -> list[str]:
    """A line for each headline metric: the gain on the test split, its interval and its p-value."""
    return [_gain(name, found) for name, found in record.comparison.items()]


def _gain(metric: str, found: ComparisonRecord) -> str:
    return (
        f"{metric}: {found.difference:+.4f}, 95 % interval {found.low:+.4f} to {found.high:+.4f}, "
        f"p = {found.p_value:.4f}"
    )


def hybrid_wins(record: ModelRecord) -> bool:
    """Whether BM25 beside the model ranks better than the model alone on dev, beyond chance."""
    found = record.hybrid.get(MEASURE)
    return found is not None and found.low > 0 and found.p_value < MAX_P_VALUE


def hybrid_line(record: ModelRecord) -> str:
    """What BM25 beside the model gains on dev, and whether that is beyond chance; empty if it was not measured."""
    found = record.hybrid.get(MEASURE)
    if found is None:
        return ""
    return f"hybrid on dev: {_gain(MEASURE, found)}; {'wins' if hybrid_wins(record) else 'does not win'} beyond chance"


def warnings(report: TrainingReport) -> list[str]:
    """A sentence for each reason not to use the model, or not to trust its figures."""
    unimproved = [] if report.improved else ["No iteration beat the base model on dev: these are its weights."]
    seen = [
        f"Of the {report.evaluations[name].queries} queries of {name}, {number} are near-duplicates of training "
        "queries."
        for name, number in report.seen_in_training.items()
    ]
    return [*unimproved, *broken_limits(report), *seen]


def broken_limits(record: ModelRecord) -> list[str]:
    """A sentence for each test set on which the model lost more than it was allowed to."""
    return [
        f"On {name} the model lost {found.base[MEASURE] - found.adapted[MEASURE]:.4f} {MEASURE} to its base, more than "
        f"the {found.max_loss:g} that was allowed."
        for name, found in record.evaluations.items()
        if found.lost_too_much
    ]


def dims_rows(report: TrainingReport) -> list[Row]:
    """A row for each number of leading dimensions that was measured, under the columns ``DIMS_COLUMNS``."""
    return [(str(dims), *_compared(found)) for dims, found in report.dims.items()]


def seed_rows(report: TrainingReport) -> list[Row]:
    """A row for each test set under the columns ``SEED_COLUMNS``; none if a single seed was trained.

    The standard deviation is that of the sample, with n - 1 degrees of freedom.
    """
    if len(report.seeds) < 2:
        return []
    rows: list[Row] = []
    for name, found in report.evaluations.items():
        gains = [
            (seed.test if name == TEST else seed.extra_test_sets[name])[MEASURE] - found.base[MEASURE]
            for seed in report.seeds
        ]
        shown = ", ".join(f"{seed.seed}: {gain:+.4f}" for seed, gain in zip(report.seeds, gains, strict=True))
        rows.append((name, f"{mean(gains):+.4f}", f"{stdev(gains):.4f}", shown))
    return rows


def falls_short(record: VariantRecord) -> bool:
    """Whether a variant ranks too much worse than its model to replace it, or was never measured."""
    if MEASURE not in record.dev or MEASURE not in record.dev_model:
        return True
    return record.dev_model[MEASURE] - record.dev[MEASURE] > MAX_SHORTFALL
