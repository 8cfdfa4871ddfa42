"""The whole chain with the real base model: prepare, train with the default recipe, register, route."""

from __future__ import annotations

import gzip
from itertools import islice
from pathlib import Path

import pytest

from registry import BaseModelFiles, Registry
from router_plugin import DomainRouter, Route
from training import Contrastive, PrepareOptions, TrainingJob, adapt, prepare, publish, read_pairs, read_prepared

from .conftest import EXAMPLES, SHARED_DATA

SHORT = PrepareOptions(chunk_characters=300)
MARGIN = 0.02


def chain(lines: list[str], base: BaseModelFiles, folder: Path, asked: str) -> None:
    """Adapt to a medical source, which must help on its test questions, and route ``asked`` by an utterance like it."""
    (folder / "pairs.jsonl").write_text("".join(lines), encoding="utf-8")
    prepare(read_pairs(str(folder / "pairs.jsonl")), folder / "data", SHORT)
    recipe = Contrastive(iterations=1, batch_size=16, min_steps=10, max_length=32)
    job = TrainingJob(read_prepared(folder / "data"), "medical", base, recipe, device="cpu")
    report = adapt(job, folder / "model")
    assert report.improved
    assert report.adapted_metrics["test"]["mrr@5"] > report.base_metrics["test"]["mrr@5"] + MARGIN

    registry = Registry.open(str(folder / "registry"))
    assert publish(folder / "model", registry).name == "medical@1"
    routes = [
        Route(name="treatment", domain="medical", utterances=("What are the treatments for epilepsy?",)),
        Route(name="greeting", domain="general", utterances=("hello, how are you?",)),
    ]
    router = DomainRouter(routes, registry)
    decision = router.route(asked)
    assert (decision.domain, decision.route, decision.model_version) == ("medical", "treatment", "medical@1")
    assert router.route("hi, how are you doing today?").route == "greeting"


@pytest.mark.slow
@pytest.mark.usefixtures("quick_maps")
def test_a_medical_model_beats_its_base_on_held_out_questions(
    tmp_path: Path, real_base: BaseModelFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.mining.bundled_questions.LEAST", 30)
    chain(medical_pairs(), real_base, tmp_path, "which tablets treat seizures in epilepsy")


def medical_pairs() -> list[str]:
    """Some of MedQuAD, of a source whose answers are short; where it is not there, the example's."""
    published = SHARED_DATA / "medquad.jsonl.gz"
    if not published.is_file():
        return (EXAMPLES / "data" / "medical.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)[:140]
    with gzip.open(published, "rt", encoding="utf-8") as file:
        return list(islice(file, 14_000, 14_110))
