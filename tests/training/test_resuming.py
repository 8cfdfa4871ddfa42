"""Resuming: a killed run ends like an undisturbed one, and repeats no finished step."""

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sentence_transformers import SentenceTransformer

from registry.errors import OutputError
from tests.conftest import ROOT
from tests.training.samples import LEARNING, QUICK, Crash, is_trial, run_python, steps_trained, texts_encoded
from tests.training.test_adaptation import same_weights, timeless, weights
from training import TrainingJob, adapt
from training.reporting.report import Iteration
from training.runs.run import Run

pytestmark = pytest.mark.slow

KILLED = """
import os, signal, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from registry import resolve_base_model
from tests.training.samples import LEARNING
from training import TrainingJob, adaptation, read_prepared
from training.recipes import distributed

data, base, out = sys.argv[1:]

finetune = distributed.finetune
calls = []

def die_when_called_again(*arguments):
    calls.append(1)
    if len(calls) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return finetune(*arguments)

distributed.finetune = die_when_called_again
job = TrainingJob(read_prepared(Path(data)), "words", resolve_base_model(base), LEARNING, device="cpu")
adaptation.adapt(job, Path(out))
"""


def test_a_killed_run_resumes_and_ends_the_same(tmp_path, trained, tiny_base, monkeypatch, caplog):
    out = tmp_path / "out"
    data = trained.out.parent / "data"
    finished = run_python(KILLED, data, tiny_base.path, out)
    assert finished.returncode == -signal.SIGKILL, finished.stderr
    assert not out.exists()
    first = json.loads((tmp_path / ".out.run" / "iteration-1.json").read_text(encoding="utf-8"))

    encoded = []
    original = SentenceTransformer.encode_document

    def counting(self, texts, *args, **options):
        encoded.extend(text for text in texts if not is_trial(text))
        return original(self, texts, *args, **options)

    monkeypatch.setattr(SentenceTransformer, "encode_document", counting)
    with caplog.at_level(logging.WARNING):
        report = adapt(TrainingJob(trained.data, "words", tiny_base, LEARNING, device="cpu"), out)
    assert "resuming the unfinished run" in caplog.text
    assert report.iterations[1] == Iteration(**first)
    assert len(encoded) == len(trained.data.corpus)
    assert timeless(report) == timeless(trained.report)
    assert same_weights(weights(out), weights(trained.out))
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


POINTS = (1, 4, 6, 7, 10, 12)
"""Of the changes of a name in a run, those before which power fails."""


@pytest.fixture(scope="module")
def failed(trained, tiny_base, tmp_path_factory):
    """What is on disk just before each of the points: copies of the folder that one run writes in."""
    folder, copies, calls = tmp_path_factory.mktemp("run"), tmp_path_factory.mktemp("failed"), []

    def copying(original):
        def change(path, target):
            calls.append(target)
            if len(calls) in POINTS:
                shutil.copytree(folder, copies / str(len(calls)))
            return original(path, target)

        return change

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "rename", copying(Path.rename))
        patch.setattr(Path, "replace", copying(Path.replace))
        adapt(TrainingJob(trained.data, "words", tiny_base, QUICK, device="cpu"), folder / "out")
    return copies


@pytest.mark.parametrize("nth", POINTS)
def test_a_run_resumes_after_a_crash_at_any_rename(trained, tiny_base, failed, nth):
    folder = failed / str(nth)
    assert not (folder / "out").exists()
    report = adapt(TrainingJob(trained.data, "words", tiny_base, QUICK, device="cpu"), folder / "out")
    assert report.iterations[0] == trained.report.iterations[0]
    assert [path.name for path in folder.iterdir()] == ["out"]


def test_a_step_whose_result_is_truncated_on_disk_is_repeated(tmp_path, trained, tiny_base, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("training.adaptation.write_model_folder", crash)
        with pytest.raises(Crash):
            adapt(TrainingJob(trained.data, "words", tiny_base, QUICK, device="cpu"), tmp_path / "out")
    step = tmp_path / ".out.run" / "base.json"
    step.write_bytes(step.read_bytes()[:20])
    report = adapt(TrainingJob(trained.data, "words", tiny_base, QUICK, device="cpu"), tmp_path / "out")
    assert report.iterations[0] == trained.report.iterations[0]


def crash(*_, **__):
    raise Crash


def test_a_run_of_another_job_starts_from_scratch(tmp_path, trained, tiny_base, monkeypatch, caplog):
    with monkeypatch.context() as patch:
        patch.setattr("training.adaptation.write_model_folder", crash)
        with pytest.raises(Crash):
            adapt(TrainingJob(trained.data, "words", tiny_base, QUICK, device="cpu"), tmp_path / "out")
    report = adapt(TrainingJob(trained.data, "words", tiny_base, QUICK, seeds=(7,), device="cpu"), tmp_path / "out")
    assert report.options["seed"] == 7
    assert "resuming" not in caplog.text
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_run_that_is_killed_in_an_iteration_goes_on_from_its_last_checkpoint(tmp_path, trained, tiny_base):
    job, out = TrainingJob(trained.data, "words", tiny_base, LEARNING, device="cpu"), tmp_path / "out"
    steps = trained.report.iterations[1].steps
    with steps_trained(limit=steps + 3) as first, pytest.raises(Crash):  # three steps of the second iteration
        adapt(job, out)
    left = tmp_path / ".out.run" / "checkpoints"
    assert [path.name for path in left.iterdir()] == ["iteration-2"]
    assert len(list((left / "iteration-2").iterdir())) == 2
    with steps_trained() as rest:
        report = adapt(job, out)
    assert first + rest == [*range(steps), *range(report.iterations[2].steps)]
    assert timeless(report) == timeless(trained.report)
    assert same_weights(weights(out), weights(trained.out))
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.fixture(scope="module")
def quick(trained, tiny_base, tmp_path_factory):
    """Of full weights and of an adapter: a job of four steps, the file of the weights, and what is undisturbed."""
    found, folder = {}, tmp_path_factory.mktemp("quick")
    for lora, file in ((None, "model.safetensors"), (4, "adapter_model.safetensors")):
        job = TrainingJob(trained.data, "words", tiny_base, QUICK.replace(lora=lora, min_steps=4), device="cpu")
        report = adapt(job, folder / f"out-{lora}")
        found[lora] = job, file, report, (folder / f"out-{lora}" / file).read_bytes()
    return found


@pytest.mark.parametrize(
    ("lora", "where"), [(4, "save_model"), (4, "choose_weight"), (4, "interpolate"), (None, "compare_metrics")]
)
def test_a_run_that_is_killed_after_training_trains_nothing_again(tmp_path, quick, lora, where):
    job, file, expected, wanted = quick[lora]
    place = "training.runs.run.Run" if where == "save_model" else "training.adaptation"
    with steps_trained() as steps, pytest.MonkeyPatch.context() as patch, pytest.raises(Crash):
        patch.setattr(f"{place}.{where}", crash)
        adapt(job, tmp_path / "out")
    with steps_trained() as again, texts_encoded() as encoded:
        report = adapt(job, tmp_path / "out")
    assert (len(steps), len(again)) == (report.iterations[1].steps, 0)
    assert timeless(report) == timeless(expected)
    assert (tmp_path / "out" / file).read_bytes() == wanted
    if where == "compare_metrics":
        assert not [text for kind, text in encoded if kind == "encode_document"]


OPEN = """
import sys
from pathlib import Path
from training import TrainingError
from training.reporting.report import Iteration
from training.runs.run import Run

try:
    with Run(Path(sys.argv[1]), {"seed": 2}) as run:
        print("open", run.resumed)
except TrainingError as error:
    print(error)
"""


def test_two_processes_cannot_write_one_output_at_a_time(tmp_path):
    out = tmp_path / "out"
    with Run(out, {"seed": 1}) as run:
        run.step("first", lambda: {"found": 1})
        assert run_python(OPEN, out).stdout == (
            f"{out}: another run is writing it: wait for that, or choose another folder\n"
        )
        assert run_python(OPEN, tmp_path / "other").stdout == "open False\n"
        assert run.step("first", dict) == {"found": 1}
    assert run_python(OPEN, out).stdout == "open False\n"
    assert run_python(OPEN, out).stdout == "open True\n"


def test_a_finished_run_returns_its_report_and_trains_nothing(tmp_path, trained, tiny_base, caplog):
    out = tmp_path / "out"
    first = adapt(TrainingJob(trained.data, "words", tiny_base, QUICK, device="cpu"), out)
    before = weights(out)
    with texts_encoded() as encoded:
        assert adapt(TrainingJob(trained.data, "words", tiny_base, QUICK, device="cpu"), out) == first
    assert not encoded and same_weights(weights(out), before)
    assert "nothing is trained" in caplog.text
    for other in ({"seeds": (7,)}, {"max_loss": {"test": 0.5}}, {"extra_test_sets": {"others": trained.data}}):
        with pytest.raises(OutputError, match="exists already"):
            adapt(TrainingJob(trained.data, "words", tiny_base, QUICK, device="cpu", **other), out)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_crash_while_a_finished_run_is_removed_can_be_resumed(tmp_path, trained, tiny_base, monkeypatch, overwrite):
    out, job = tmp_path / "out", TrainingJob(trained.data, "words", tiny_base, QUICK, device="cpu")
    with monkeypatch.context() as patch:
        patch.setattr("training.runs.run.shutil.rmtree", half_removed)
        with pytest.raises(Crash):
            adapt(job, out)
    assert (out / "report.json").is_file()
    report = adapt(job, out, overwrite=overwrite)
    assert report.iterations[0] == trained.report.iterations[0]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def half_removed(folder, ignore_errors):
    """Power that fails when a run that is done loses its models."""
    for path in folder.glob("iteration-*"):
        if folder.name == ".out.run" and path.is_dir():
            path.rename(folder.parent / ".out.run" / f"gone-{path.name}")
    if folder.name == ".out.run":
        raise Crash


def test_the_time_of_a_killed_process_counts_up_to_its_last_step(tmp_path):
    def slowly():
        time.sleep(0.2)
        return {}

    with Run(tmp_path / "out", {}) as run:
        run.step("first", slowly)
    with Run(tmp_path / "out", {}) as run:
        assert run.resumed and 0.2 <= run.seconds < 10
    with Run(tmp_path / "out", {"other": 1}) as run:
        assert run.seconds < 0.2


@pytest.mark.slow
def test_kills_at_random_instants_of_the_command_change_nothing(tmp_path):
    command = [sys.executable, ROOT / "benchmarks" / "kills.py", "--kills", "1", "--out", tmp_path]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert (result["kills"], result["same"]) == (1, 1)
    assert sum(stage["kills"] for stage in result["stages"].values()) == 1
