"""Versions with metrics of single queries."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from registry import ModelVersion, Registry
from registry.gates.query_metrics import QueryMetrics, write_query_metrics
from registry.policies.policy import Policy, read_policy
from registry.records import ComparisonRecord, EvaluationRecord
from tests.registry.samples import make_record, write_model

QUERIES = 40
OTHER_DATA = "b" * 64


def publish(
    registry: Registry,
    place: Path,
    ranks: Sequence[float] | None = None,
    fingerprint: str = "a" * 64,
    domain: str = "medical",
    **changes: Any,
) -> ModelVersion:
    """A version whose reciprocal ranks of the queries of ``test`` are these; None for one that kept none."""
    folder = write_model(place / f"model-{len(registry.versions())}", str(ranks))
    if ranks is not None:
        metrics = dict.fromkeys(("mrr@5", "recall@5", "ndcg@10"), tuple(ranks))
        write_query_metrics(
            folder, {"test": QueryMetrics(fingerprint=fingerprint, sets=(len(ranks),), metrics=metrics)}
        )
    return registry.publish(folder, make_record(domain, **changes))


def steady(value: float) -> list[float]:
    """Every query has one value."""
    return [value] * QUERIES


def policy(place: Path, text: str) -> Policy:
    """A policy as a file says it."""
    path = place / "policy.yaml"
    path.write_text(text, encoding="utf-8")
    return read_policy(path)


def other_set(lost: bool = False) -> dict[str, EvaluationRecord]:
    """Another test set of a record."""
    return {
        "real-questions": EvaluationRecord(
            fingerprint="a" * 64,
            queries=7,
            base={"mrr@5": 0.5},
            adapted={"mrr@5": 0.4},
            comparison={"mrr@5": ComparisonRecord(difference=-0.1, low=-0.2, high=0.1, p_value=0.2)},
            max_loss=0.05 if lost else 0.3,
            lost_too_much=lost,
        )
    }


def lines(registry: Registry, reference: str, **how: bool) -> dict[str, bool]:
    """Rule to whether a version passes."""
    return {verdict.rule: verdict.passed for verdict in registry.gate(reference, **how)[1].verdicts}
