"""A Ray cluster does what one process does, bit for bit, also when it loses workers."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from registry.cluster.connecting import connected
from tests.training.corpora.samples import Doubler, Holder, KilledEncoder, LosesItsProcess, model_of, write_source
from tests.training.samples import QUICK, prepared, word_pairs
from training import TrainingJob, adapt
from training.cluster.engines import OneProcess
from training.cluster.ray_cluster import RayCluster
from training.corpora import encoding
from training.corpora.encoding import encode_corpus
from training.corpora.options import EncodeOptions
from training.corpora.ranking import top_k_by_parts
from training.corpora.shard_folder import ShardFolder
from training.errors import CorpusError
from training.retrieval.ranking import top_k
from training.retrieval.vectors import StoredVectors

pytest.importorskip("ray", reason="Ray is not installed: pip install 'domain-router[ray]'")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    """Two workers on this machine, started once; commands of this process use them too."""
    with connected("local", 2):
        yield RayCluster(2, "cpu")


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.ray
def test_a_cluster_writes_the_files_of_one_process_and_loses_at_most_a_shard(cluster, tmp_path, tiny_base, monkeypatch):
    source, markers = write_source(tmp_path / "corpus.jsonl"), tmp_path / "markers"
    markers.mkdir()
    options = EncodeOptions(shard_size=10)
    encode_corpus(source, ShardFolder(tmp_path / "one"), model_of(tiny_base), options, OneProcess("cpu"))
    monkeypatch.setattr(encoding, "ShardEncoder", partial(KilledEncoder, markers))
    found = encode_corpus(source, ShardFolder(tmp_path / "two"), model_of(tiny_base), options, cluster)
    assert files(tmp_path / "one") == files(tmp_path / "two")
    assert len(found.manifest.shards) == 5
    assert {"before", "behind"} <= {path.name for path in markers.iterdir()}
    assert len(list(markers.glob("?-*-True"))) == 5  # no shard was encoded twice


@pytest.mark.ray
def test_what_always_loses_its_worker_is_named_when_the_others_are_done(cluster, monkeypatch):
    monkeypatch.setattr("training.cluster.ray_cluster.RETRIES", 1)
    found = []
    with pytest.raises(CorpusError, match="doubling: 1 of 4 failed 2 times, the first is 2"):
        for each in cluster.map(partial(LosesItsProcess, None), [0, 1, 2, 3], "doubling"):
            found.append(each)
    assert found == [0, 2, 6]


@pytest.mark.ray
def test_a_fault_of_a_worker_is_the_error_of_one_process(cluster, tmp_path, tiny_base):
    source, folder = write_source(tmp_path / "corpus.jsonl", 20), ShardFolder(tmp_path / "out")
    options = EncodeOptions(shard_size=10)
    encode_corpus(source, folder, model_of(tiny_base), options, OneProcess("cpu"))
    (tmp_path / "out" / "vectors" / "000001.npy").unlink()
    (tmp_path / "out" / "texts" / "000001.parquet").unlink()
    with pytest.raises(CorpusError, match=r"texts/000001\.parquet: is missing"):
        encode_corpus(source, folder, model_of(tiny_base), options, cluster)


def test_a_cluster_ranks_as_one_process_does(cluster, tmp_path):
    vectors = np.random.default_rng(0).standard_normal((70_000, 8)).astype(np.float32)
    vectors[40_000:] = vectors[:30_000]  # equal scores, in another part
    np.save(tmp_path / "documents.npy", vectors)
    documents, queries = StoredVectors(tmp_path / "documents.npy"), vectors[:50]
    left_out = [{row} for row in range(50)]
    expected = next(iter(top_k(queries, documents, 100, "cpu", left_out)))
    found = next(iter(top_k_by_parts(cluster, queries, documents, 100, left_out)))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.ray
def test_training_on_a_cluster_gives_the_model_of_one_process(cluster, tmp_path, tiny_base, monkeypatch):
    data = prepared(word_pairs(), tmp_path / "data", test_size=0.3)
    monkeypatch.setattr("training.splitting.near_duplicates.PART", 30)
    reports = {}
    for name, address in (("one", None), ("two", "local")):
        reports[name] = adapt(TrainingJob(data, "words", tiny_base, QUICK, device="cpu", ray=address), tmp_path / name)
    assert reports["one"].evaluations == reports["two"].evaluations
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in reports]
    assert weights[0] == weights[1]


@pytest.mark.ray
def test_a_wait_for_room_is_said_once(cluster, caplog, monkeypatch):
    import ray

    monkeypatch.setattr("registry.cluster.room.WAIT", 0.5)
    taken = ray.remote(num_cpus=2)(Holder).remote()
    ray.get(taken.there.remote())
    threading.Timer(2, ray.kill, [taken]).start()
    assert list(cluster.map(Doubler, [1, 2], "doubling")) == [2, 4]
    (line,) = [each.getMessage() for each in caplog.records if each.name == "registry.cluster.room"]
    assert line.endswith("room for a worker: 1 core needed, 0 cores free of 2 cores")


def test_more_workers_than_the_cluster_has_cores_are_refused(cluster, tmp_path, tiny_base):
    from router_plugin.cli import app

    source = write_source(tmp_path / "corpus.jsonl", 10)
    command = ["encode", source, str(tmp_path / "out"), "--model", str(tiny_base.path), "--ray", "local"]
    done = CliRunner().invoke(app, [*command, "--workers", "3"])
    assert "no room for 3 workers: 3 cores needed, 2 cores on 1 machine: lower --workers" in str(done.exception)
    assert not (tmp_path / "out").exists()


def test_the_command_encodes_on_a_cluster(cluster, tmp_path, tiny_base):
    from router_plugin.cli import app

    source = write_source(tmp_path / "corpus.jsonl")
    command = ["encode", source, str(tmp_path / "out"), "--model", str(tiny_base.path), "--ray", "local", "--json"]
    done = CliRunner().invoke(app, [*command, "--workers", "1", "--shard-size", "30"], catch_exceptions=False)
    found = json.loads(done.output)
    assert (found["count"], found["made"], len(found["shards"])) == (50, 2, 2)
