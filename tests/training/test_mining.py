"""Mining: each of the reference rules on rankings made by hand."""

import numpy as np
import pytest

from tests.training.samples import no_longer_than
from training import PreparedData, TrainingError
from training.miners import NegativeMiner, TripletMiner
from training.mining import Triplet, hard_negatives, judge, reference_triplets
from training.states import Texts


def ranks(*ordinals):
    """The documents at these ranks, counted from 1, of a ranking whose document at rank r is 1000 + r."""
    return {1000 + ordinal for ordinal in ordinals}


RANKED = np.arange(1001, 1201)


def test_hard_negatives_are_the_wrong_ones_in_ranks_1_to_15():
    assert judge(RANKED, ranks(1, 15)).hard_negatives == [1000 + rank for rank in range(2, 15)]


def test_easy_negatives_are_the_wrong_ones_in_ranks_16_to_100():
    assert judge(RANKED, ranks(16, 100)).easy_negatives == [1000 + rank for rank in range(17, 100)]


def test_easy_positives_are_the_right_ones_in_ranks_1_to_5():
    assert judge(RANKED, ranks(1, 5, 6)).easy_positives == [1001, 1005]


def test_hard_positives_are_the_right_ones_in_ranks_6_to_100():
    assert judge(RANKED, ranks(5, 6, 16, 100, 101)).hard_positives == [1006, 1016, 1100]


def test_nothing_below_rank_100_is_looked_at():
    judged = judge(RANKED, ranks(101, 150))
    assert not judged.easy_positives + judged.hard_positives
    assert max(judged.easy_negatives) == 1100


def triplets(*relevant, easy_per_hard=2, seed=0, ranked=RANKED):
    return reference_triplets(np.tile(ranked, (len(relevant), 1)), relevant, easy_per_hard, seed)


def test_a_hard_triplet_is_the_first_hard_positive_with_the_first_hard_negative():
    assert triplets(ranks(1, 8, 20)) == [Triplet(0, 1008, 1002), Triplet(0, 1001, 1016)]


def test_an_easy_triplet_is_the_first_easy_positive_with_the_first_easy_negative():
    assert Triplet(1, 1002, 1017) in triplets(ranks(9), ranks(2, 4, 16))


def test_an_easy_triplet_takes_a_hard_negative_where_there_is_no_easy_one():
    assert Triplet(1, 1003, 1001) in triplets(ranks(9), ranks(3), ranked=RANKED[:15])


def test_a_query_without_a_hard_positive_makes_no_hard_triplet():
    assert triplets(ranks(1)) == []
    assert triplets(ranks(150)) == []


def test_a_query_without_a_hard_negative_makes_no_hard_triplet():
    assert triplets(ranks(*range(1, 17)), easy_per_hard=5) == []


def test_easy_triplets_are_kept_up_to_twice_the_hard_ones():
    hard, easy = [ranks(50)] * 3, [ranks(1)] * 20
    found = triplets(*hard, *easy)
    assert [triplet.query for triplet in found[:3]] == [0, 1, 2]
    kept = [triplet.query for triplet in found[3:]]
    assert len(kept) == len(set(kept)) == 6
    assert set(kept) <= set(range(3, 23))
    assert len(triplets(*hard, *easy, easy_per_hard=1)) == 6
    assert len(triplets(*hard, *easy[:4])) == 7


def test_which_easy_triplets_are_kept_is_drawn_by_the_seed():
    relevant = [ranks(50)] * 3 + [ranks(1)] * 50
    assert triplets(*relevant, seed=1) == triplets(*relevant, seed=1)
    assert triplets(*relevant, seed=1) != triplets(*relevant, seed=2)


def texts(documents, *relevant):
    """Training queries, each with the positions of its documents."""
    names = [f"d{number}" for number in range(len(documents))]
    qrels = {f"q{number}": [names[position] for position in wanted] for number, wanted in enumerate(relevant)}
    queries = {name: f"question {name}" for name in qrels}
    return Texts(PreparedData(dict(zip(names, documents, strict=True)), queries, {"train": qrels}, {}))


DOCUMENTS = [f"document {number}" for number in range(30)]


def test_triplets_accumulate_over_iterations():
    miner = TripletMiner(texts(DOCUMENTS, [7]), easy_per_hard=2)
    assert miner.mine(np.arange(30)[None], seed=1) == 1
    assert miner.mine(np.arange(30)[None, ::-1], seed=2) == 2
    assert miner.examples(3) == {
        "anchor": ["question q0"] * 2,
        "positive": ["document 7"] * 2,
        "negative": ["document 0", "document 29"],
    }


def test_a_copy_of_a_right_text_is_no_negative():
    documents = ["right", "wrong", "right", "also wrong"]
    assert hard_negatives(np.array([[2, 1, 0, 3]]), [{0}], documents) == [[1, 3]]


def test_hard_negatives_accumulate_the_newest_first():
    miner = NegativeMiner(texts(DOCUMENTS, [0]), passes=1, negatives=2)
    assert miner.mine(np.arange(30)[None], seed=1) == 14
    assert miner.mine(np.arange(30)[None, ::-1], seed=2) == 29
    assert miner.known == [[*range(29, 14, -1), *range(1, 15)]]


def test_every_pass_asks_every_query_with_a_right_text_and_mined_negatives():
    miner = NegativeMiner(texts(DOCUMENTS, [0, 1], [2], [3]), passes=4, negatives=3)
    miner.mine(np.tile(np.arange(30), (3, 1)), seed=1)
    columns = miner.examples(seed=5)
    assert list(columns) == ["anchor", "positive", "negative_1", "negative_2", "negative_3"]
    right = {"question q0": {"document 0", "document 1"}, "question q1": {"document 2"}, "question q2": {"document 3"}}
    rows = list(zip(*columns.values(), strict=True))
    assert sorted(row[0] for row in rows) == sorted(list(right) * 4)
    for anchor, positive, *negatives in rows:
        assert positive in right[anchor]
        assert len(set(negatives)) == 3
        assert set(negatives) <= set(DOCUMENTS[:15]) - right[anchor]
    assert {row[1] for row in rows if row[0] == "question q0"} == right["question q0"]
    assert miner.examples(seed=5) == columns
    assert miner.examples(seed=6) != columns


def test_where_too_few_negatives_are_mined_wrong_texts_are_drawn():
    miner = NegativeMiner(texts(["right", "right", "wrong"], [0]), passes=1, negatives=2)
    miner.mine(np.array([[0, 1]]), seed=1)
    assert miner.examples(1) == {
        "anchor": ["question q0"],
        "positive": ["right"],
        "negative_1": ["wrong"],
        "negative_2": ["wrong"],
    }


def test_a_query_that_every_text_answers_is_reported():
    miner = NegativeMiner(texts(["yes", "yes", "yes"], [0], [1]), passes=1, negatives=1)
    miner.mine(np.array([[0, 1, 2]] * 2), seed=1)
    with no_longer_than(3), pytest.raises(TrainingError, match="question q"):
        miner.examples(1)


def test_without_negatives_none_are_drawn():
    miner = NegativeMiner(texts(["yes", "yes", "yes"], [0], [1]), passes=1, negatives=0)
    miner.mine(np.array([[0, 1, 2]] * 2), seed=1)
    columns = miner.examples(1)
    assert (sorted(columns["anchor"]), columns["positive"]) == (["question q0", "question q1"], ["yes"] * 2)
    assert len(columns) == 2
