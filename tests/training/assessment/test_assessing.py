"""An assessment as a whole, with a tiny model."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry import BaseModelFiles
from tests.training.assessment.samples import data
from tests.training.samples import prepared, texts_encoded, word_pairs
from training import Assessment, PreparedData, TrainingError, assess
from training.prepared.joined import join


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    return prepared(word_pairs(), tmp_path_factory.mktemp("words") / "data")


@pytest.fixture(scope="module")
def assessed(words: PreparedData, tiny_base: BaseModelFiles) -> Assessment:
    return assess(words, tiny_base, device="cpu")


def test_all_three_rankers_are_measured_on_dev(assessed: Assessment, words: PreparedData) -> None:
    assert list(assessed.metrics) == ["base", "bm25", "hybrid"]
    assert all(list(found) == ["mrr@5", "recall@5", "ndcg@10", "recall@100"] for found in assessed.metrics.values())
    assert assessed.metrics["bm25"]["mrr@5"] > assessed.metrics["base"]["mrr@5"]  # which has random weights
    assert assessed.dev_queries == len(words.qrels["dev"]) == sum(assessed.errors.model_dump().values())
    assert assessed.training_queries == len(words.qrels["train"])
    assert assessed.hybrid["mrr@5"].difference == pytest.approx(
        assessed.metrics["hybrid"]["mrr@5"] - assessed.metrics["base"]["mrr@5"]
    )


def test_so_few_pairs_are_not_enough(assessed: Assessment) -> None:
    assert assessed.verdict == "collect-more-pairs"
    assert assessed.more_pairs > 0


def test_an_assessment_is_read_back_from_its_json(assessed: Assessment) -> None:
    assert Assessment.model_validate_json(assessed.model_dump_json()) == assessed


def test_test_queries_are_not_ranked(words: PreparedData, tiny_base: BaseModelFiles) -> None:
    with texts_encoded() as encoded:
        assess(words, tiny_base, device="cpu")
    asked = {text for kind, text in encoded if kind == "encode_query"}
    assert asked == {words.queries[name] for name in words.qrels["dev"]}
    assert set(encoded.values()) == {1}


def test_nothing_is_written_beside_the_data(
    words: PreparedData, tiny_base: BaseModelFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assess(words, tiny_base, device="cpu")
    assert list(tmp_path.iterdir()) == []


def test_a_query_is_not_compared_with_itself(tiny_base: BaseModelFiles) -> None:
    same = data(["who sails", "a sailor sails", "nothing"], dev=[("who sails", [1])])
    assert assess(same, tiny_base, device="cpu").metrics["bm25"]["mrr@5"] == 1


def test_training_queries_without_an_answer_do_not_count(tiny_base: BaseModelFiles) -> None:
    some = data(["yes", "no"], dev=[("may I", [0])], train=[("who", [1]), ("why", [])])
    assert assess(some, tiny_base, device="cpu").training_queries == 1


def test_data_without_dev_queries_are_refused(tiny_base: BaseModelFiles) -> None:
    with pytest.raises(TrainingError, match="no dev queries"):
        assess(data(["yes"], dev=[]), tiny_base, device="cpu")


def test_joined_sets_are_refused(words: PreparedData, tiny_base: BaseModelFiles) -> None:
    with pytest.raises(TrainingError, match="one set at a time"):
        assess(join({"one": words, "two": words}), tiny_base, device="cpu")
