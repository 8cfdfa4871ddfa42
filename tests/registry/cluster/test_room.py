"""What a cluster can never hold is refused, and what must wait says so once: on a real one of two cores."""

from __future__ import annotations

import threading

import pytest

from registry import ClusterError
from registry.cluster import room
from registry.cluster.connecting import connected
from registry.cluster.room import Need, check_room, say_if_waiting
from tests.training.corpora.samples import Holder
from tests.training.samples import run_python

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'domain-router[ray]'")

GROWING = """
import os
os.environ["RAY_NODE_TYPE_NAME"] = "workers"  # as an autoscaler sets it
from registry.cluster.connecting import connected
from registry.cluster.room import Need, check_room
with connected("local", 1):
    assert check_room([Need("a worker")], "no") is True
    assert check_room([Need("9 workers", 9)], "no") is False
"""


@pytest.fixture(scope="module")
def cluster():
    """Two cores of this machine."""
    with connected("local", 2):
        yield


@pytest.fixture
def taken(cluster):
    """An actor that holds both cores."""
    actor = ray.remote(num_cpus=2)(Holder).remote()
    ray.get(actor.there.remote())
    yield actor
    ray.kill(actor)


@pytest.mark.ray
@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize(
    ("needs", "said"),
    [
        ([Need("3 workers", 3)], "3 workers: 3 cores needed, 2 cores on 1 machine: add less, or add machines"),
        ([Need("a job", cores=2.5)], "a job: 2.5 cores needed, 2 cores on"),
        ([Need("a worker", cores=0, gpus=1)], "a worker: 1 GPU needed, 0 GPUs on"),
        ([Need("a job", cores=1, gpus=0.5)], "a job: 1 core and 0.5 GPUs needed, 2 cores and 0 GPUs on"),
        ([Need("2 servers", 2), Need("an encoder", cores=0.5)], "2 servers and an encoder: 2.5 cores needed"),
    ],
)
def test_what_can_never_be_had_is_refused_with_what_is_there(needs, said):
    with pytest.raises(ClusterError, match=f"the cluster has no room for {said}"):
        check_room(needs, "add less")


@pytest.mark.ray
@pytest.mark.usefixtures("cluster")
def test_what_fits_is_not_refused():
    assert check_room([Need("2 workers", 2)], "")
    assert check_room([Need("20 workers", 20, cores=0.1)], "")  # whose sum is not exactly 2
    assert check_room([Need("a server"), Need("an encoder")], "")


def test_each_process_must_fit_on_one_machine():
    machines = [{"CPU": 4.0, "GPU": 1.0}, {"CPU": 4.0}]
    assert room._hold(machines, [Need("2 workers", 2, cores=3)])
    assert not room._hold(machines, [Need("a worker", cores=5)])
    assert not room._hold(machines, [Need("2 workers", 2, cores=1, gpus=1)])


@pytest.mark.ray
def test_a_wait_is_said_in_one_line(taken, caplog, monkeypatch):
    monkeypatch.setattr(room, "WAIT", 0.3)
    say_if_waiting([Need("2 workers", 2)])
    (line,) = [each.getMessage() for each in caplog.records]
    assert line == "waiting until the cluster has room for 2 workers: 2 cores needed, 0 cores free of 2 cores"


@pytest.mark.ray
def test_nothing_is_said_where_any_work_can_begin_soon(taken, caplog, monkeypatch):
    monkeypatch.setattr(room, "WAIT", 60)
    threading.Timer(0.5, ray.kill, [taken]).start()
    say_if_waiting([Need("9 workers", 9)], [Need("a worker")])
    assert caplog.records == []


@pytest.mark.ray
def test_a_cluster_that_grows_refuses_nothing():
    done = run_python(GROWING)
    assert done.returncode == 0, done.stderr
