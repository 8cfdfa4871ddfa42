"""The verdict on a model in rows and words: both sides on every test set, broken guards, and the gain over seeds."""

from __future__ import annotations

from statistics import mean, stdev

from registry import ModelRecord
from registry.model_folders.variants import VariantRecord
from registry.records import TEST, BothSides
from training.reporting.report import TrainingReport
from training.retrieval.metrics import HEADLINE

MEASURE = HEADLINE[0]
MAX_SHORTFALL = 0.005
"""How much lower a variant's ``MEASURE`` on dev may be than its model's."""

SIDES = (f"base {MEASURE}", f"adapted {MEASURE}", "difference", "95 % interval", "p")
BOTH_SIDES = ("test set", "queries", *SIDES, "max. loss")
METRICS = ("metric", "base", "adapted", "gain")
OVER_DIMS = ("dimensions", *SIDES)
OVER_SEEDS = ("test set", "mean gain", "standard deviation", "gains")

Row = tuple[str, ...]


def both_sides(record: ModelRecord) -> list[Row]:
    """A row for each test set, the domain's own first, under the columns ``BOTH_SIDES``."""
    rows: list[Row] = []
    for name, found in record.evaluations.items():
        guard = "" if found.max_loss is None else f"{found.max_loss:g}: {'BROKEN' if found.lost_too_much else 'kept'}"
        rows.append((name, str(found.queries), *_sides(found), guard))
    return rows


def _sides(found: BothSides) -> Row:
    """The cells under ``SIDES``."""
    base, adapted, sure = found.base[MEASURE], found.adapted[MEASURE], found.comparison.get(MEASURE)
    return (
        f"{base:.4f}",
        f"{adapted:.4f}",
        f"{adapted - base:+.4f}",
        f"{sure.low:+.4f} to {sure.high:+.4f}" if sure else "",
        f"{sure.p_value:.4f}" if sure else "",
    )


def metric_rows(record: ModelRecord) -> list[Row]:
    """A row for every metric on the domain's own test split, under the columns ``METRICS``."""
    base, adapted = record.base_metrics[TEST], record.adapted_metrics[TEST]
    return [(name, f"{base[name]:.4f}", f"{adapted[name]:.4f}", f"{adapted[name] - base[name]:+.4f}") for name in base]


def headline_gains(record: ModelRecord) -> list[str]:
    """A line for each headline metric: the gain on the test split, its interval and its p-value."""
    return [
        f"{name}: {found.difference:+.4f}, 95 % interval {found.low:+.4f} to {found.high:+.4f}, p = {found.p_value:.4f}"
        for name, found in record.comparison.items()
    ]


def warnings(record: ModelRecord) -> list[str]:
    """A sentence for everything that speaks against the model."""
    unimproved = [] if record.improved else ["No iteration beat the base model on dev: these are its weights."]
    return [*unimproved, *broken_guards(record)]


def broken_guards(record: ModelRecord) -> list[str]:
    """A sentence for each test set on which the model lost more than it was allowed to."""
    return [
        f"On {name} the model lost {found.base[MEASURE] - found.adapted[MEASURE]:.4f} {MEASURE} to its base, more than "
        f"the {found.max_loss:g} that was allowed."
        for name, found in record.evaluations.items()
        if found.lost_too_much
    ]


def over_dims(report: TrainingReport) -> list[Row]:
    """A row for each number of leading dimensions that was measured, under the columns ``OVER_DIMS``."""
    return [(str(dims), *_sides(found)) for dims, found in report.dims.items()]


def over_seeds(report: TrainingReport) -> list[Row]:
    """A row for each test set under the columns ``OVER_SEEDS``; none where one seed was trained.

    The deviation is the sample's, with n - 1 below the root.
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


def is_short(record: VariantRecord) -> bool:
    """Whether a variant is too far from its model to serve in its place, or was never measured."""
    if MEASURE not in record.dev or MEASURE not in record.dev_model:
        return True
    return record.dev_model[MEASURE] - record.dev[MEASURE] > MAX_SHORTFALL
