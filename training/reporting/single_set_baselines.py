"""One model for several sets beside the model that was trained on each alone, on the same test queries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from registry import ModelRecord, ModelVersion
from registry.names import TEST
from training.errors import TrainingError
from training.prepared.format import PreparedData
from training.reporting.verdicts import MEASURE, Row

BESIDE = ("set", f"base {MEASURE}", "this model", "its own model", "", "difference")


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


def told(model: ModelRecord) -> dict[str, Any]:
    """What the report says of such a model."""
    name = model.name if isinstance(model, ModelVersion) else model.domain
    return {"model": name, "test": model.adapted_metrics[TEST]}


def beside(report: dict[str, Any]) -> list[Row]:
    """A row for each set that has a model of its own, under the columns ``BESIDE``."""
    rows: list[Row] = []
    for name, own in report.get("beside", {}).items():
        base, this = (report["also"][name][side][MEASURE] for side in ("base", "adapted"))
        alone = own["test"][MEASURE]
        rows.append((name, f"{base:.4f}", f"{this:.4f}", f"{alone:.4f}", own["model"], f"{this - alone:+.4f}"))
    return rows
