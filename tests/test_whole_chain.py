"""The whole chain on real data: prepare, train with the default recipe, register, route."""

from __future__ import annotations

import gzip
from itertools import islice
from pathlib import Path

import pytest

from registry import BaseModelFiles, Registry
from router_plugin import DomainRouter, Route
from training import Contrastive, TrainingJob, adapt, prepare, publish, read_pairs, read_prepared

from .conftest import shared_data

FIRST = 14_000
PAIRS = 250
"""Of a source whose answers are short, so that the test is."""

MARGIN = 0.02


@pytest.mark.data
def test_a_medical_model_beats_its_base_on_held_out_questions(tmp_path: Path, real_base: BaseModelFiles) -> None:
    with gzip.open(shared_data("medquad.jsonl.gz"), "rt", encoding="utf-8") as file:
        lines = islice(file, FIRST, FIRST + PAIRS)
        (tmp_path / "pairs.jsonl").write_text("".join(lines), encoding="utf-8")
    prepare(read_pairs(str(tmp_path / "pairs.jsonl")), tmp_path / "data")
    recipe = Contrastive(iterations=1, min_steps=10, max_length=64)
    report = adapt(
        TrainingJob(read_prepared(tmp_path / "data"), "medical", real_base, recipe, device="cpu"), tmp_path / "model"
    )
    assert report.improved
    assert report.adapted_metrics["test"]["mrr@5"] > report.base_metrics["test"]["mrr@5"] + MARGIN

    registry = Registry.open(str(tmp_path / "registry"))
    assert publish(tmp_path / "model", registry).name == "medical@1"
    routes = [
        Route(name="treatment", domain="medical", utterances=("What are the treatments for epilepsy?",)),
        Route(name="greeting", domain="general", utterances=("hello, how are you?",)),
    ]
    router = DomainRouter(routes, registry)
    decision = router.route("What are the treatments for childhood epilepsy?")
    assert (decision.domain, decision.route, decision.model_version) == ("medical", "treatment", "medical@1")
    assert router.route("hi, how are you doing today?").route == "greeting"
