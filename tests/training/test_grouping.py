"""Near-duplicates are found on a cluster, and through files, in the groups of one process."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator, Sequence
from functools import partial

import pytest
from typer.testing import CliRunner

from registry.cluster.connecting import connected
from tests.training.corpora.samples import KilledSigning
from tests.training.samples import word_pairs
from tests.training.splitting.test_near_duplicates import LONG, variants
from training.cluster.engines import OneProcess
from training.cluster.ray_cluster import RayCluster
from training.corpora.records import TextShard
from training.corpora.shard_folder import ShardFolder
from training.errors import CorpusError
from training.grouping import ShardTexts, group_on
from training.splitting import near_duplicates
from training.splitting.near_duplicates import near_duplicates as in_memory


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    """Two workers on this machine, started once; commands of this process use them too."""
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'domain-router[ray]'")
    with connected("local", 2):
        yield RayCluster(2, "cpu")


@pytest.fixture
def small(monkeypatch) -> None:
    """Parts are small, and there is a band for each."""
    monkeypatch.setattr(near_duplicates, "PART", 16)
    monkeypatch.setattr(near_duplicates, "BAND_PARTS", 1)


class Made(Sequence):
    """Long texts that are not in memory."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, row: int) -> str:
        if row >= self.count:
            raise IndexError
        return " ".join(f"{word}x{row}" for word in LONG * 4)


def test_files_give_the_groups_of_memory_and_none_is_left(small, tmp_path):
    texts = variants(100, 0)
    found = group_on(OneProcess(), tmp_path / "out", texts)
    assert found.tolist() == in_memory(texts).tolist()
    assert 1 < len(set(found.tolist())) < 100
    assert not list(tmp_path.iterdir())


def test_few_texts_need_no_files(tmp_path):
    texts = variants(100, 1)
    assert group_on(OneProcess(), tmp_path / "missing" / "out", texts).tolist() == in_memory(texts).tolist()
    assert not list(tmp_path.iterdir())


def test_what_is_in_memory_does_not_grow_with_the_texts(tmp_path, monkeypatch):
    for name, value in {"PART": 50, "BAND_PARTS": 4, "COUNTERS": 100}.items():
        monkeypatch.setattr(near_duplicates, name, value)
    group_on(OneProcess(), tmp_path / "out", Made(60))
    texts = Made(500)
    tracemalloc.start()
    group_on(OneProcess(), tmp_path / "out", texts)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < sum(map(len, texts)) / 2


def test_a_worker_that_does_not_reach_the_files_says_where_they_must_be(tmp_path):
    part = ShardTexts(ShardFolder(tmp_path), TextShard(number=3, start=48, count=16, sha256="0"))
    with pytest.raises(CorpusError, match=r"texts/000003\.parquet: .* must reach the output's folder at the same path"):
        part.read()


@pytest.mark.ray
@pytest.mark.parametrize("part", [7, 50])
def test_a_cluster_finds_the_groups_of_one_process(cluster, tmp_path, monkeypatch, part):
    texts = variants(120, part)
    expected = in_memory(texts)
    monkeypatch.setattr(near_duplicates, "PART", part)
    assert group_on(cluster, tmp_path / "out", texts).tolist() == expected.tolist()


@pytest.mark.ray
def test_a_lost_worker_changes_nothing(cluster, small, tmp_path, monkeypatch):
    texts = variants(60, 3)
    expected = in_memory(texts)
    monkeypatch.setattr(near_duplicates, "SignPart", partial(KilledSigning, tmp_path / "killed"))
    assert group_on(cluster, tmp_path / "out", texts).tolist() == expected.tolist()
    assert (tmp_path / "killed").exists()


@pytest.mark.slow
def test_the_command_writes_the_same_data_with_a_cluster(cluster, small, tmp_path):
    from router_plugin.cli import app

    rows = [{"question": pair.question, "answer": pair.answer} for pair in word_pairs()]
    source = tmp_path / "pairs.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in [*rows, *rows[:20]]), encoding="utf-8")
    used = []
    mapped = RayCluster.map
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RayCluster, "map", lambda *work: used.append(work[-1]) or mapped(*work))
        for out, *options in (("one",), ("two", "--ray", "local")):
            command = ["prepare", str(source), "--out", str(tmp_path / out), *options]
            assert CliRunner().invoke(app, command, catch_exceptions=False).exit_code == 0
    assert used == ["finding near-duplicates"] * 3
    files = [{path.name: path.read_bytes() for path in (tmp_path / out).rglob("*.*")} for out in ("one", "two")]
    assert files[0] == files[1]


def test_a_split_without_near_duplicates_refuses_a_cluster(tmp_path):
    from router_plugin.cli import app

    command = ["prepare", "pairs.jsonl", "--out", str(tmp_path / "out"), "--split", "test", "--ray", "local"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 2
    assert "--ray cannot be used with --split test" in done.output
