"""A run loads few models, and ranks every split once per state, even if it was killed in between."""

import shutil
from collections import Counter
from contextlib import contextmanager

import pytest

from tests.training.samples import QUICK, filler_pairs, prepared
from tests.training.test_adaptation import timeless
from training import TrainingJob, adapt
from training.retrieval import states
from training.retrieval.encoding import load_model

ONE = QUICK.replace(dims=(16,))
TWO = QUICK.replace(iterations=2)


class Crash(BaseException):
    """Power that fails."""


@contextmanager
def counted():
    """The models loaded and the rankings computed within the block."""
    loads, rankings = [], Counter()
    ranked = states.ranked

    def loading(folder, *arguments, **options):
        loads.append(folder.name)
        return load_model(folder, *arguments, **options)

    def ranking(queries, *arguments):
        _, _, state = str(queries._path.with_suffix("")).rpartition("/embeddings/")
        rankings[state, queries.shape[1]] += 1
        return ranked(queries, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.adaptation.load_model", loading)
        patch.setattr(states, "ranked", ranking)
        yield loads, rankings


@pytest.fixture(scope="module")
def others(tmp_path_factory):
    return prepared(filler_pairs()[:8], tmp_path_factory.mktemp("others") / "data", split="test")


@pytest.mark.slow
@pytest.mark.parametrize(("recipe", "limit"), [(ONE, 4), (TWO, 8)], ids=["one iteration", "two iterations"])
def test_a_run_loads_few_models_and_ranks_each_split_once(tmp_path, trained, tiny_base, others, recipe, limit):
    job = TrainingJob(trained.data, "words", tiny_base, recipe, extra_test_sets={"others": others}, device="cpu")
    with counted() as (loads, rankings):
        adapt(job, tmp_path / "out")
    assert len(loads) <= limit, loads
    assert set(rankings.values()) == {1}, rankings
    expected = {("base/train-queries", 32), ("base/dev-queries", 32), ("base/test-queries", 32)}
    assert expected < set(rankings)


@pytest.mark.slow
def test_a_resumed_run_ranks_nothing_again_and_finds_the_same(tmp_path, trained, tiny_base, monkeypatch):
    job = TrainingJob(trained.data, "words", tiny_base, QUICK, device="cpu")
    whole = adapt(job, tmp_path / "whole")
    with monkeypatch.context() as patch, pytest.raises(Crash):
        patch.setattr("training.adaptation.write_model_folder", crash)
        adapt(job, tmp_path / "out")
    with counted() as (_, rankings):
        resumed = adapt(job, tmp_path / "out")
    assert not rankings
    assert timeless(resumed) == timeless(whole)


@pytest.mark.slow
def test_rankings_of_weights_that_were_trained_before_a_crash_are_not_used(tmp_path, trained, tiny_base, monkeypatch):
    """What is trained again, where no checkpoint is left, may differ in its last bits."""
    job = TrainingJob(trained.data, "words", tiny_base, QUICK, device="cpu")
    with monkeypatch.context() as patch, pytest.raises(Crash):
        patch.setattr("training.adaptation._Loop.compare", crash)
        adapt(job, tmp_path / "out")
    kept = tmp_path / ".out.run" / "embeddings" / "iteration-1" / "dev-ranking.npz"
    before = kept.stat().st_mtime_ns
    shutil.rmtree(tmp_path / ".out.run" / "checkpoints")
    with monkeypatch.context() as patch, pytest.raises(Crash):
        patch.setattr("training.adaptation._Loop.compare", crash)
        adapt(job, tmp_path / "out")
    assert kept.stat().st_mtime_ns > before


def crash(*_):
    raise Crash
