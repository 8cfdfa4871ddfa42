"""The verdict on a model in rows and words: both sides on every test set, broken guards, and the gain over seeds."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import mean, stdev
from typing import Any

from registry import ModelRecord
from registry.model_folders.variants import VariantRecord
from registry.names import TEST
from registry.records import ComparisonRecord
from training.retrieval.metrics import HEADLINE

MEASURE = HEADLINE[0]
MAX_SHORTFALL = 0.005
"""How much lower a variant's ``MEASURE`` on dev may be than its model's."""

SIDES = (f"base {MEASURE}", f"adapted {MEASURE}", "difference", "95 % interval", "p")
BOTH_SIDES = ("test set", "queries", *SIDES, "max. loss")
OVER_DIMS = ("dimensions", *SIDES)
OVER_SEEDS = ("test set", "mean gain", "standard deviation", "gains")

Row = tuple[str, ...]


def both_sides(record: ModelRecord) -> list[Row]:
    """A row for each test set, the domain's own first, under the columns ``BOTH_SIDES``."""
    rows: list[Row] = []
    for name, found in record.evaluations.items():
        guard = "" if found.max_loss is None else f"{found.max_loss:g}: {'BROKEN' if found.lost_too_much else 'kept'}"
        rows.append((name, str(found.queries), *_sides(found.base, found.adapted, found.comparison), guard))
    return rows


def _sides(base: Mapping[str, float], adapted: Mapping[str, float], comparison: Mapping[str, ComparisonRecord]) -> Row:
    """The cells under ``SIDES``."""
    sure = comparison.get(MEASURE)
    return (
        f"{base[MEASURE]:.4f}",
        f"{adapted[MEASURE]:.4f}",
        f"{adapted[MEASURE] - base[MEASURE]:+.4f}",
        f"{sure.low:+.4f} to {sure.high:+.4f}" if sure else "",
        f"{sure.p_value:.4f}" if sure else "",
    )


def broken_guards(record: ModelRecord) -> list[str]:
    """A sentence for each test set on which the model lost more than it was allowed to."""
    return [
        f"On {name} the model lost {found.base[MEASURE] - found.adapted[MEASURE]:.4f} {MEASURE} to its base, more than "
        f"the {found.max_loss:g} that was allowed."
        for name, found in record.evaluations.items()
        if found.lost_too_much
    ]


def over_dims(report: dict[str, Any]) -> list[Row]:
    """A row for each number of leading dimensions that was asked for, under the columns ``OVER_DIMS``."""
    rows: list[Row] = []
    for dims, found in report.get("dims", {}).items():
        comparison = {metric: ComparisonRecord(**values) for metric, values in found["comparison"].items()}
        rows.append((dims, *_sides(found["base"], found["adapted"], comparison)))
    return rows


def over_seeds(report: dict[str, Any]) -> list[Row]:
    """A row for each test set under the columns ``OVER_SEEDS``; none where one seed was trained.

    The deviation is the sample's, with n - 1 below the root.
    """
    seeds = report.get("seeds", ())
    if len(seeds) < 2:
        return []
    bases = {TEST: report["base_metrics"][TEST], **{name: found["base"] for name, found in report["also"].items()}}
    rows: list[Row] = []
    for name, base in bases.items():
        gains = [(seed[TEST] if name == TEST else seed["also"][name])[MEASURE] - base[MEASURE] for seed in seeds]
        shown = ", ".join(f"{seed['seed']}: {gain:+.4f}" for seed, gain in zip(seeds, gains, strict=True))
        rows.append((name, f"{mean(gains):+.4f}", f"{stdev(gains):.4f}", shown))
    return rows


def is_short(record: VariantRecord) -> bool:
    """Whether a variant is too far from its model to serve in its place, or was never measured."""
    if MEASURE not in record.dev or MEASURE not in record.dev_model:
        return True
    return record.dev_model[MEASURE] - record.dev[MEASURE] > MAX_SHORTFALL
