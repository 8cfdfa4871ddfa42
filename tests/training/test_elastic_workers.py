"""Training goes on by fewer workers when a machine is lost, and by more when one joins: on Ray nodes started here."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import make_dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.training.test_worker_group import make_job
from training import TrainingJob
from training.options import WorkerOptions
from training.worker_group import adapt_in_workers

pytest.importorskip("ray", reason="Ray is not installed: pip install 'domain-router[ray]'")

pytestmark = pytest.mark.ray

ONE_OR_TWO = WorkerOptions(ray_workers=2, min_ray_workers=1)


@pytest.fixture
def nodes() -> Iterator[Any]:
    """A cluster of one node with one core, to which nodes can be added."""
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, connect=True, head_node_args={"num_cpus": 1})
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@pytest.fixture
def another(nodes) -> Iterator[Callable[[], None]]:
    """Adds a node of one core, from any thread."""
    node = [sys.executable, "-m", "ray.scripts.scripts", "start", "--address", nodes.address, "--num-cpus", "1"]
    with ExitStack() as started:

        def add() -> None:
            process = subprocess.Popen([*node, "--block"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            started.callback(process.wait)
            started.callback(process.terminate)

        yield add


@pytest.fixture
def job(trained, tiny_base, tmp_path, monkeypatch) -> Callable[[], TrainingJob]:
    """Makes a slow job, in a current folder where workers note how many they are."""
    from ray.train.v2.api import config

    monkeypatch.chdir(tmp_path)
    resizing = [("elastic_resize_monitor_interval_s", float, 1.0)]
    monkeypatch.setattr(config, "ScalingConfig", make_dataclass("Often", resizing, bases=(config.ScalingConfig,)))
    return partial(make_slow_job, trained.out.parent / "data", tiny_base.path)


def make_slow_job(data: Path, base: Path) -> TrainingJob:
    """A job in a worker, of which steps take three seconds until both numbers of workers have trained."""
    from training.recipes.trainer import MinedBatchTrainer
    from training.runs import processes

    step = MinedBatchTrainer.training_step

    def slow(*arguments: Any, **options: Any) -> Any:
        Path(f"trained-by-{processes.count()}").touch()
        time.sleep(0 if Path(f"trained-by-{3 - processes.count()}").exists() else 3)
        return step(*arguments, **options)

    MinedBatchTrainer.training_step = slow
    return make_job(data, base)


def when_trained_by(workers: int, then: Callable[[], object]) -> threading.Thread:
    """Do something once that number of workers trains in the current folder."""

    def wait() -> None:
        while not Path(f"trained-by-{workers}").exists():
            time.sleep(0.05)
        then()

    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    return waiting


def test_a_machine_that_is_lost_leaves_one_worker(nodes, job, tmp_path):
    second = nodes.add_node(num_cpus=1)
    waiting = when_trained_by(2, lambda: nodes.remove_node(second, allow_graceful=False))
    report = adapt_in_workers(job, "out", "auto", ONE_OR_TWO)
    assert not waiting.is_alive()
    assert report.chosen
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "trained-by-1", "trained-by-2"]


def test_a_machine_that_joins_is_used(another, job, tmp_path):
    waiting = when_trained_by(1, another)
    report = adapt_in_workers(job, "out", "auto", ONE_OR_TWO)
    assert not waiting.is_alive()
    assert report.chosen
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "trained-by-1", "trained-by-2"]
