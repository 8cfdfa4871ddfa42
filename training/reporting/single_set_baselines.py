"""Compares a model of several sets with the models that were trained on one of them alone, on the same test queries."""

from __future__ import annotations

from registry import ModelRecord, ModelVersion
from registry.records import TEST
from training.reporting.report import Baseline, TrainingReport
from training.reporting.verdicts import MEASURE, Row

BASELINES = ("set", f"base {MEASURE}", "this model", "its own model", "", "difference")


def baseline_summary(model: ModelRecord) -> Baseline:
    """What the report says of such a model."""
    name = model.name if isinstance(model, ModelVersion) else model.domain
    return Baseline(model=name, test=model.adapted_metrics[TEST])


def baseline_rows(report: TrainingReport) -> list[Row]:
    """A row for each set that has a model of its own, under the columns ``BASELINES``."""
    rows: list[Row] = []
    for name, baseline in report.single_set_baselines.items():
        found = report.extra_test_sets[name]
        base, this, alone = found.base[MEASURE], found.adapted[MEASURE], baseline.test[MEASURE]
        rows.append((name, f"{base:.4f}", f"{this:.4f}", f"{alone:.4f}", baseline.model, f"{this - alone:+.4f}"))
    return rows
