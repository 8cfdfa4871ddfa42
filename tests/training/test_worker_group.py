"""Workers of Ray Train make the model that processes of torchrun make, also when one of them is lost."""

import json
import os
import signal
import threading
import time
from functools import partial
from pathlib import Path

import pytest
from typer.testing import CliRunner

from registry import ClusterError, resolve_base_model
from registry.cluster.connecting import connected
from registry.shared.digests import sha256_of
from router_plugin.cli import app
from tests.training.runs.test_processes import RECIPE, run_two
from training import Contrastive, TrainingError, TrainingJob, read_prepared
from training.options import WorkerOptions
from training.worker_group import adapt_in_workers

TWO = WorkerOptions(ray_workers=2)
ALONE = """
import sys
from pathlib import Path
from tests.training.test_worker_group import make_job
from training import adapt
data, base, out = map(Path, sys.argv[1:])
adapt(make_job(data, base), out)
"""
TIMES = ("seconds", "created")


def make_job(data, base, recipe=RECIPE):
    """A job that is made of paths, in each worker."""
    from training.runs import checkpoints

    checkpoints.INTERVAL = 0.0
    return TrainingJob(read_prepared(data), "words", resolve_base_model(str(base)), recipe, device="cpu")


def test_what_workers_take_makes_sense_only_with_workers():
    assert (WorkerOptions(ray_workers=2).group_size, WorkerOptions(ray_workers=4, min_ray_workers=2).group_size) == (
        2,
        (2, 4),
    )
    with pytest.raises(TrainingError, match="`gpus_per_worker` needs `ray_workers`"):
        WorkerOptions(gpus_per_worker=1)
    with pytest.raises(TrainingError, match="`min_ray_workers` 3: expected at most `ray_workers`"):
        WorkerOptions(ray_workers=2, min_ray_workers=3)


def test_workers_need_a_cluster():
    done = CliRunner().invoke(app, ["train", "data", "--domain", "legal", "--out", "out", "--ray-workers", "2"])
    assert done.exit_code == 2 and "needs --ray" in done.output


@pytest.fixture(scope="module")
def cluster():
    """Three cores, for two workers and what starts them."""
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'domain-router[ray]'")
    with connected("local", 3):
        yield


@pytest.fixture(scope="module")
def torchrun(trained, tiny_base, tmp_path_factory):
    """What two processes of torchrun make."""
    folder = tmp_path_factory.mktemp("torchrun")
    run_two(ALONE, folder, trained.out.parent / "data", tiny_base.path, folder / "out")
    return outcome(folder / "out")


def outcome(out):
    """The digest of the weights, and the report but for times."""
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    for each in (report, *report["iterations"]):
        for name in TIMES:
            each.pop(name, None)
    return sha256_of(out / "model.safetensors"), report


@pytest.fixture
def job(trained, tiny_base, tmp_path, monkeypatch):
    """Makes a job, in a current folder by which its workers are known."""
    monkeypatch.chdir(tmp_path)
    return partial(make_job, trained.out.parent / "data", tiny_base.path)


def kill_a_worker(folder, when, rank):
    """Kill a worker that works in a folder, as soon as a file is there."""
    while not any(folder.glob(when)):
        time.sleep(0.01)
    there = sorted(int(path.parent.name) for path in Path("/proc").glob("[0-9]*/cwd") if in_folder(path, folder))
    os.kill(there[rank], signal.SIGKILL)


def in_folder(link, folder):
    try:
        return link.readlink() == folder and (link.parent / "cmdline").read_bytes().startswith(b"ray::RayTrainWorker")
    except OSError:
        return False


@pytest.mark.ray
def test_workers_for_which_there_is_no_room_are_refused_before_the_job_is_made(cluster, tmp_path):
    def make():
        raise AssertionError

    for options, said in (
        (WorkerOptions(ray_workers=4), "4 workers: 4 cores needed, 3 cores on 1 machine: lower `ray_workers`"),
        (WorkerOptions(ray_workers=5, min_ray_workers=4), "4 workers: .* lower `min_ray_workers`"),
        (WorkerOptions(ray_workers=2, gpus_per_worker=0.5), "2 workers: 2 cores and 1 GPU needed, 3 cores and 0 GPUs"),
    ):
        with pytest.raises(ClusterError, match=f"the cluster has no room for {said}"):
            adapt_in_workers(make, tmp_path / "out", "local", options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.ray
def test_two_workers_make_the_model_of_two_processes(cluster, torchrun, job, tmp_path):
    adapt_in_workers(job, "out", "local", TWO)
    assert outcome(tmp_path / "out") == torchrun
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


@pytest.mark.ray
@pytest.mark.parametrize("rank", [0, 1])
def test_a_lost_worker_changes_nothing(cluster, torchrun, job, tmp_path, rank):
    killer = threading.Thread(
        target=kill_a_worker, args=(tmp_path, ".out.run/checkpoints/*/step-5/checkpoint.json", rank), daemon=True
    )
    killer.start()
    adapt_in_workers(job, "out", "local", TWO)
    assert not killer.is_alive()
    assert outcome(tmp_path / "out") == torchrun


@pytest.mark.ray
def test_a_mistake_of_the_users_is_the_error_of_one_process(cluster, job, tmp_path):
    with pytest.raises(TrainingError, match="`freeze_documents` needs a single process"):
        adapt_in_workers(partial(job, Contrastive(freeze_documents=True)), "out", "local", TWO)
    assert list(tmp_path.iterdir()) == []
