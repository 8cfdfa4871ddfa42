"""Several processes train one model as one process does."""

import json
import os
import subprocess
import sys

import pytest
from sentence_transformers import SentenceTransformer

from tests.conftest import ROOT
from tests.training.samples import LEARNING
from training import Contrastive, TrainingError, TrainingJob, adapt
from training.recipes.trainer import MinedBatchSampler
from training.reporting.report import TrainingReport
from training.runs import processes

pytestmark = pytest.mark.slow

RECIPE = LEARNING.replace(learning_rate=1e-3, iterations=1)
CODE = """
import json, os, sys
from pathlib import Path
from registry import resolve_base_model
from tests.training.recipes.test_trainer import RECIPES, STEPS, equal
from tests.training.runs.test_processes import RECIPE
from tests.training.samples import Crash, steps_trained
from training import TrainingJob, adapt, read_prepared
from training.recipes.finetune import finetune
from training.retrieval.encoding import load_model
from training.runs import processes
from training.runs.checkpoints import newest_checkpoint

data, base, out, scratch = map(Path, sys.argv[1:])
rank = os.environ["RANK"]
report = adapt(TrainingJob(read_prepared(data), "words", resolve_base_model(str(base)), RECIPE, device="cpu"), out)
Path(f"{out}-{rank}.json").write_text(report.model_dump_json())

def train(name, folder):
    model, (recipe, examples) = load_model(base, "cpu"), RECIPES[name]
    start = processes.agree(newest_checkpoint(folder))
    return model, finetune(model, examples, recipe, 1, folder, name, None, start)

found = {}
for name, kills in {"full": [2], "triplet": [1, 3, 4]}.items():
    undisturbed = train(name, Path(scratch, f"{name}-undisturbed"))
    for steps in kills:
        folder = Path(scratch, f"{name}-{steps}")
        try:
            with steps_trained(limit=steps):
                train(name, folder)
        except Crash:
            pass
        with steps_trained() as rest:
            again = train(name, folder)
        if rank == "1":  # the loss of this process is not reported
            again[1]["loss"] = undisturbed[1]["loss"]
        found[f"{name} {steps}"] = equal(again, undisturbed) and rest == list(range(steps, STEPS))
Path(scratch, f"{rank}.json").write_text(json.dumps(found))
"""
"""A whole run, and then trainings of which some are killed."""


def run_two(code, folder, *arguments):
    """Run code in two processes."""
    (folder / "train.py").write_text(code, encoding="utf-8")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += map(str, (folder / "train.py", *arguments))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def together(trained, tiny_base, tmp_path_factory):
    """The folder of the model that two processes train, the report that each has, and what each found of kills."""
    folder, scratch = tmp_path_factory.mktemp("together"), tmp_path_factory.mktemp("killed")
    run_two(CODE, folder, trained.out.parent / "data", tiny_base.path, folder / "out", scratch)
    reports = [TrainingReport.model_validate_json((folder / f"out-{rank}.json").read_bytes()) for rank in (0, 1)]
    found = [json.loads((scratch / f"{rank}.json").read_text(encoding="utf-8")) for rank in (0, 1)]
    return folder / "out", reports, found


def test_two_processes_train_the_model_that_one_does(trained, together, tiny_base, tmp_path):
    out, (report, _), _ = together
    alone = adapt(TrainingJob(trained.data, "words", tiny_base, RECIPE, device="cpu"), tmp_path / "alone")
    assert report.iterations[1].steps == alone.iterations[1].steps
    for split in ("dev", "test"):
        assert report.adapted_metrics[split] == pytest.approx(alone.adapted_metrics[split], abs=0.1)
    questions = list(trained.data.queries.values())
    two, one, base = (
        SentenceTransformer(str(path), device="cpu").encode(questions, normalize_embeddings=True)
        for path in (out, tmp_path / "alone", tiny_base.path)
    )
    assert (two * one).sum(axis=1).min() > 0.99 > 0.95 > (base * one).sum(axis=1).min()


def test_every_process_has_the_report_and_one_model_is_written(together):
    out, reports, _ = together
    assert reports[0] == reports[1] == TrainingReport.load(out)
    assert sorted(path.name for path in out.parent.iterdir()) == ["out", "out-0.json", "out-1.json", "train.py"]


def test_two_processes_go_on_from_a_checkpoint_as_one_does(together):
    _, _, found = together
    assert found == [dict.fromkeys(("full 2", "triplet 1", "triplet 3", "triplet 4"), True)] * 2


def test_each_process_has_its_slice_of_every_batch(monkeypatch):
    monkeypatch.setattr("training.recipes.trainer.processes.count", lambda: 2)
    laid = MinedBatchSampler([4, 5, 1])
    assert list(laid) == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert len(laid) == 4


def test_frozen_documents_need_a_single_process(trained, tiny_base, tmp_path, monkeypatch):
    monkeypatch.setattr("training.checks.processes.count", lambda: 2)
    with pytest.raises(TrainingError, match="`freeze_documents` needs a single process"):
        adapt(TrainingJob(trained.data, "words", tiny_base, Contrastive(freeze_documents=True)), tmp_path / "out")


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, 1),
        ({"WORLD_SIZE": "4"}, 1),
        ({"TORCHELASTIC_RUN_ID": "", "WORLD_SIZE": "4"}, 1),
        ({"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": ""}, 1),
        ({"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "4"}, 4),
    ],
)
def test_only_torchrun_says_how_many_processes_there_are(monkeypatch, environment, expected):
    for name in ("TORCHELASTIC_RUN_ID", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert processes.count() == expected


def test_a_number_of_processes_that_is_none_is_named(monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    monkeypatch.setenv("WORLD_SIZE", "many")
    with pytest.raises(TrainingError, match="WORLD_SIZE many: expected a whole number"):
        processes.count()
