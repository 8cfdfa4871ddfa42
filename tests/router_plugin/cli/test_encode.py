"""``domain-router encode``: which model encodes, what is printed, and what is refused."""

from __future__ import annotations

import json

import pytest

from tests.training.corpora.samples import write_source


@pytest.fixture
def source(tmp_path):
    return write_source(tmp_path / "corpus.jsonl", 12)


def test_a_folder_of_shards_is_written_and_a_second_run_has_nothing_to_do(cli, source, tmp_path, tiny_base):
    command = ("encode", source, tmp_path / "out", "--model", tiny_base.path, "--shard-size", 5, "--device", "cpu")
    status, out, err = cli(*command)
    assert (status, err) == (0, "")
    assert "12 vectors of 32 dimensions in 3 shards\n" in out
    assert "in 3 shards, 3 of them before" in cli(*command)[1]


def test_a_registered_model_encodes(cli, source, tmp_path, served):
    model = ("--model", "legal", "--registry", served, "--device", "cpu")
    found = json.loads(cli("encode", source, tmp_path / "out", *model, "--json")[1])
    assert found["encoding"]["model"] == "legal@1"
    assert (found["count"], found["dimension"], found["made"]) == (12, 32, 1)


@pytest.mark.parametrize(("model", "said"), [("legal@7", "unknown model legal@7"), ("no-such-model", "not found")])
def test_an_unknown_model_is_refused_before_anything_is_written(cli, source, tmp_path, served, model, said):
    status, _, err = cli("encode", source, tmp_path / "out", "--model", model, "--registry", served)
    assert status == 2
    assert said in err
    assert not (tmp_path / "out").exists()


def test_workers_need_a_cluster(cli, source, tmp_path):
    status, _, err = cli("encode", source, tmp_path / "out", "--workers", 2)
    assert status == 2
    assert "needs --ray" in err
