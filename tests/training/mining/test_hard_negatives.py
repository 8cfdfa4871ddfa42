"""Mining: each of the reference rules on rankings made by hand."""

import math
import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.training.samples import no_longer_than
from training import PreparedData, TrainingError
from training.mining.hard_negatives import Triplet, bucket_by_rank, hard_negatives, reference_triplets
from training.mining.miners import NegativeMiner, TripletMiner
from training.retrieval.ranking import Ranked
from training.retrieval.texts import Texts
from training.splitting.near_duplicates import near_duplicates


def ranks(*ordinals):
    """The documents at these ranks, counted from 1, of a ranking whose document at rank r is 1000 + r."""
    return {1000 + ordinal for ordinal in ordinals}


RANKED = np.arange(1001, 1201)


def test_hard_negatives_are_the_wrong_ones_in_ranks_1_to_15():
    assert bucket_by_rank(RANKED, ranks(1, 15)).hard_negatives == [1000 + rank for rank in range(2, 15)]


def test_easy_negatives_are_the_wrong_ones_in_ranks_16_to_100():
    assert bucket_by_rank(RANKED, ranks(16, 100)).easy_negatives == [1000 + rank for rank in range(17, 100)]


def test_easy_positives_are_the_right_ones_in_ranks_1_to_5():
    assert bucket_by_rank(RANKED, ranks(1, 5, 6)).easy_positives == [1001, 1005]


def test_hard_positives_are_the_right_ones_in_ranks_6_to_100():
    assert bucket_by_rank(RANKED, ranks(5, 6, 16, 100, 101)).hard_positives == [1006, 1016, 1100]


def test_nothing_below_rank_100_is_looked_at():
    judged = bucket_by_rank(RANKED, ranks(101, 150))
    assert not judged.easy_positives + judged.hard_positives
    assert max(judged.easy_negatives) == 1100


def triplets(*relevant, easy_per_hard=2, seed=0, ranked=RANKED):
    none = [[]] * len(relevant)
    return reference_triplets(np.tile(ranked, (len(relevant), 1)), relevant, none, easy_per_hard, seed)


def test_a_hard_triplet_is_the_first_hard_positive_with_the_first_hard_negative():
    assert triplets(ranks(1, 8, 20)) == [Triplet(0, 1008, 1002), Triplet(0, 1001, 1016)]


def test_an_easy_triplet_is_the_first_easy_positive_with_the_first_easy_negative():
    assert Triplet(1, 1002, 1017) in triplets(ranks(9), ranks(2, 4, 16))


def test_an_easy_triplet_without_an_easy_negative_takes_a_hard_one():
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


def test_the_seed_decides_which_easy_triplets_are_kept():
    relevant = [ranks(50)] * 3 + [ranks(1)] * 50
    assert triplets(*relevant, seed=1) == triplets(*relevant, seed=1)
    assert triplets(*relevant, seed=1) != triplets(*relevant, seed=2)


def texts(documents, *relevant):
    """Training queries, each with the positions of its documents."""
    names = [f"d{number}" for number in range(len(documents))]
    qrels = {f"q{number}": [names[position] for position in wanted] for number, wanted in enumerate(relevant)}
    queries = {name: f"question {name}" for name in qrels}
    return Texts(PreparedData(dict(zip(names, documents, strict=True)), queries, {"train": qrels}, {}))


def ranked(*positions, best=1.0):
    """Rankings whose scores fall from 0.9, and the score of the best relevant document."""
    rows = np.array(positions)
    scores = np.tile(0.9 - 0.01 * np.arange(rows.shape[1], dtype=np.float32), (len(rows), 1))
    return Ranked(rows, scores, np.full(len(rows), best, dtype=np.float32))


DOCUMENTS = [f"document {number} is about {number * 7}" for number in range(30)]


def miner(texts, *, passes=1, batch_size=8, negatives=1, random_negative_ratio=0.0, max_negative_ratio=1.0):
    return NegativeMiner(texts, passes, batch_size, negatives, random_negative_ratio, max_negative_ratio)


def rows(examples):
    return list(zip(*examples.columns.values(), strict=True))


def test_triplets_accumulate_over_iterations():
    miner = TripletMiner(texts(DOCUMENTS, [7]), easy_per_hard=2)
    assert miner.mine(ranked(range(30)), seed=1) == 1
    assert miner.mine(ranked(range(29, -1, -1)), seed=2) == 2
    assert miner.examples(3).columns == {
        "anchor": ["question q0"] * 2,
        "positive": [DOCUMENTS[7]] * 2,
        "negative": [DOCUMENTS[0], DOCUMENTS[29]],
    }


def found(ranked, relevant, documents, max_negative_ratio=1.0):
    return hard_negatives(ranked, relevant, near_duplicates(documents), max_negative_ratio)


def test_a_near_duplicate_of_a_relevant_document_is_no_negative():
    right = " ".join(f"word{number}" for number in range(60))
    documents = [right, "wrong", right.upper() + "!", "also wrong", f"{right} again"]
    assert found(ranked([2, 1, 0, 4, 3]), [{0}], documents) == [[1, 3]]


def test_a_document_that_scores_nearly_as_well_as_a_relevant_one_is_no_negative():
    order = ranked(range(1, 30), best=0.8)  # ranks 1, 2, 3 ... score 0.90, 0.89, 0.88 ...
    assert found(order, [{0}], DOCUMENTS, max_negative_ratio=1.0)[0] == list(range(11, 26))
    assert found(order, [{0}], DOCUMENTS, max_negative_ratio=0.95)[0] == list(range(15, 30))
    assert found(order, [{0}], DOCUMENTS, max_negative_ratio=0.0) == [[]]


scores = st.floats(-1, 1, width=32)


@given(best=scores | st.just(-math.inf), others=st.lists(scores, min_size=1, max_size=15), ratio=st.floats(0, 1))
def test_no_negative_scores_above_the_best_relevant_document_whatever_its_sign(best, others, ratio):
    order = Ranked(np.arange(1, len(others) + 1)[None], np.float32([sorted(others)[::-1]]), np.float32([best]))
    documents = [f"document {number}" for number in range(len(others) + 1)]
    (few,), (more,) = (found(order, [{0}], documents, max_negative_ratio) for max_negative_ratio in (ratio, 1.0))
    assert [number for number in more if order.scores[0][number - 1] > best] == []
    assert set(few) <= set(more)


def test_the_margin_below_a_negative_score_is_that_below_a_positive_one():
    order = Ranked(np.arange(1, 5)[None], np.float32([[-0.47, -0.49, -0.51, -0.54]]), np.float32([-0.5]))
    assert found(order, [{0}], DOCUMENTS, max_negative_ratio=1.0) == [[3, 4]]
    assert found(order, [{0}], DOCUMENTS, max_negative_ratio=0.95) == [[4]]


def test_hard_negatives_accumulate_the_newest_first():
    mining = miner(texts(DOCUMENTS, [0]), negatives=2)
    assert mining.mine(ranked(range(30)), seed=1) == 15
    assert mining.mine(ranked(range(29, -1, -1)), seed=2) == 29
    assert mining.known == [[*range(29, 14, -1), *range(1, 15)]]


def test_every_pass_has_every_query_with_a_relevant_document_and_mined_negatives():
    mining = miner(texts(DOCUMENTS, [0, 1], [2], [3]), passes=4, negatives=3)
    mining.mine(ranked(*[range(10, 30)] * 3), seed=1)
    examples = mining.examples(seed=5)
    assert list(examples.columns) == ["anchor", "positive", "negative_1", "negative_2", "negative_3"]
    right = {
        "question q0": {DOCUMENTS[0], DOCUMENTS[1]},
        "question q1": {DOCUMENTS[2]},
        "question q2": {DOCUMENTS[3]},
    }
    assert sorted(row[0] for row in rows(examples)) == sorted(list(right) * 4)
    for anchor, positive, *negatives in rows(examples):
        assert positive in right[anchor]
        assert len(set(negatives)) == 3
        assert set(negatives) <= set(DOCUMENTS[10:25])
    assert {row[1] for row in rows(examples) if row[0] == "question q0"} == right["question q0"]
    assert mining.examples(seed=5) == examples
    assert mining.examples(seed=6) != examples


def test_a_fraction_of_the_negatives_is_random():
    mining = miner(texts(DOCUMENTS, [0]), passes=200, negatives=2, random_negative_ratio=0.5)
    mining.mine(ranked([0, 1, 2]), seed=1)
    negatives = [text for row in rows(mining.examples(1)) for text in row[2:]]
    hard = sum(text in DOCUMENTS[1:3] for text in negatives) / len(negatives)
    assert 0.45 < hard < 0.62
    assert set(negatives) == set(DOCUMENTS[1:])


@given(st.integers(1, 6), st.integers(1, 3), st.integers(1, 12), st.integers(0, 99))
def test_no_negative_of_a_query_comes_again_before_all_others_have(wrong, mined, negatives, seed):
    documents = ["right", *(f"wrong number {number}" for number in range(wrong)), "WRONG NUMBER 0!"]
    mining = miner(texts(documents, [0]), negatives=negatives)
    mining.mine(ranked(range(1, 1 + min(mined, wrong))), seed=1)
    (row,) = rows(mining.examples(seed))
    times = Counter(text.strip("!").lower() for text in row[2:])
    assert "right" not in times
    assert max(times.values()) - min(times.values()) <= 1
    assert len(times) == min(wrong, negatives)


def test_random_negatives_fill_up_too_few_mined_ones():
    mining = miner(texts(["right", "right", "wrong"], [0]), negatives=2)
    mining.mine(ranked([0, 1]), seed=1)
    assert mining.examples(1).columns == {
        "anchor": ["question q0"],
        "positive": ["right"],
        "negative_1": ["wrong"],
        "negative_2": ["wrong"],
    }


def many_queries_of_few_answers(batch_size):
    relevant = [[number % 3] for number in range(60)]
    mining = miner(texts(DOCUMENTS, *relevant), batch_size=batch_size)
    mining.mine(ranked(*[range(10, 30)] * 60), seed=1)
    return mining


def test_examples_that_fit_into_no_batch_are_counted_once_with_a_size_at_which_they_do(caplog):
    mining = many_queries_of_few_answers(batch_size=16)
    used = len(mining.examples(1))
    mining.examples(2)
    (record,) = caplog.records
    assert f"{60 - used} of the 60 examples" in record.message
    size = int(re.search(r"with (\d+) examples a batch", record.message)[1])
    caplog.clear()
    assert len(many_queries_of_few_answers(size).examples(1)) > 0.9 * 60
    assert not caplog.records


def test_a_query_that_every_text_answers_is_reported():
    mining = miner(texts(["yes", "yes", "yes"], [0], [1]))
    mining.mine(ranked(*[[0, 1, 2]] * 2), seed=1)
    with no_longer_than(3), pytest.raises(TrainingError, match="question q"):
        mining.examples(1)
