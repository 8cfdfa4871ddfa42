"""Compares a model of several sets with the models that were trained on one of them alone, on the same test queries."""

from __future__ import annotations

from collections.abc import Mapping

from registry import ModelRecord, ModelVersion
from registry.names import TEST
from training.errors import TrainingError
from training.prepared.format import PreparedData
from training.reporting.report import Baseline, TrainingReport
from training.reporting.verdicts import MEASURE, Row

BASELINES = ("set", f"base {MEASURE}", "this model", "its own model", "", "difference")


def check_beside(data: PreparedData, models: Mapping[str, ModelRecord]) -> None:
    """Make sure that each model was measured on the same queries, before long work is done.

    Raises:
        TrainingError: a model of no known set, or one that learned from other data.
    """
    for name, model in models.items():
        if name not in data.parts:
            known = f"one of {', '.join(data.parts)}" if data.parts else "no such model where there is one set"
            raise TrainingError(f"--beside {name}: no set of that name is trained on: expected {known}")
        if model.dataset.fingerprint != data.parts[name].fingerprint:
            raise TrainingError(
                f"--beside {name}: that model was trained on other data (fingerprint {model.dataset.fingerprint[:12]}, "
                f"not {data.parts[name].fingerprint[:12]}): train it on the same prepared folder"
            )


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
