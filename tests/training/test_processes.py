"""Several processes train one model as one process does."""

import json
import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from training import Contrastive, TrainingError, adapt
from training.finetune import _Laid

CODE = """
import json, os, sys
from dataclasses import replace
from pathlib import Path
import torch
torch.set_num_threads(1)
from registry import resolve_base_model
from tests.training.samples import LEARNING
from training import adapt, read_prepared
data, base, out = map(Path, sys.argv[1:])
report = adapt(read_prepared(data), "words", resolve_base_model(str(base)), out, LEARNING, device="cpu")
Path(f"{out}-{os.environ['RANK']}.json").write_text(json.dumps(report))
"""


@pytest.fixture(scope="module")
def together(trained, tiny_base, tmp_path_factory):
    """The reports that two processes have of the run that ``trained`` is of one."""
    folder = tmp_path_factory.mktemp("together")
    (folder / "train.py").write_text(CODE, encoding="utf-8")
    arguments = [trained.out.parent / "data", tiny_base.path, folder / "out"]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*command, str(folder / "train.py"), *map(str, arguments)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads((folder / f"out-{rank}.json").read_text(encoding="utf-8")) for rank in (0, 1)]


def test_two_processes_reach_the_metrics_of_one(trained, together):
    report = together[0]
    assert report["base_metrics"]["test"] == pytest.approx(trained.report["base_metrics"]["test"])
    assert report["adapted_metrics"]["test"]["mrr@5"] > report["base_metrics"]["test"]["mrr@5"] + 0.1
    for one, two in zip(trained.report["iterations"][1:], report["iterations"][1:], strict=True):
        assert two["steps"] == one["steps"]
        assert two["dev"]["ndcg@10"] == pytest.approx(one["dev"]["ndcg@10"], abs=0.1)
    assert report["adapted_metrics"]["test"]["mrr@5"] == pytest.approx(
        trained.report["adapted_metrics"]["test"]["mrr@5"], abs=0.1
    )


def test_every_process_has_the_report_and_one_model_is_written(together):
    assert together[0] == together[1]


def test_each_process_has_its_slice_of_every_batch(monkeypatch):
    monkeypatch.setattr("training.finetune.processes.count", lambda: 2)
    laid = _Laid([4, 5, 1])
    assert list(laid) == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert len(laid) == 4


def test_queries_alone_are_trained_in_one_process(trained, tiny_base, tmp_path, monkeypatch):
    monkeypatch.setattr("training.adaptation.processes.count", lambda: 2)
    with pytest.raises(TrainingError, match="--freeze-documents is trained in one process"):
        adapt(trained.data, "words", tiny_base, tmp_path / "out", Contrastive(freeze_documents=True))
