"""Compares a model of several sets with the models of one set each, on the same test queries."""

from __future__ import annotations

from registry import ModelRecord, ModelVersion
from registry.records import TEST
from training.reporting.report import Baseline, TrainingReport
from training.reporting.verdicts import MEASURE, Row

BASELINE_COLUMNS = ("set", f"base {MEASURE}", "this model", "single-set model", "", "difference")


def baseline_summary(model: ModelRecord) -> Baseline:
    """What the report says about a model that was trained on one of the sets."""
    name = model.name if isinstance(model, ModelVersion) else model.domain
    return Baseline(model=name, test=model.adapted_metrics[TEST])


def baseline_rows(report: TrainingReport) -> list[Row]:
    """A row for each set that has a baseline, under the columns ``BASELINE_COLUMNS``."""
    rows: list[Row] = []
    for name, baseline in report.single_set_baselines.items():
        found = report.extra_test_sets[name]
        base, this, single = found.base[MEASURE], found.adapted[MEASURE], baseline.test[MEASURE]
        rows.append((name, f"{base:.4f}", f"{this:.4f}", f"{single:.4f}", baseline.model, f"{this - single:+.4f}"))
    return rows
