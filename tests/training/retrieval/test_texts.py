"""Prepared data by position: no query is ranked over its own text, nor learns that it is wrong."""

import unicodedata

import numpy as np
import pytest

from training import Contrastive, PreparedData
from training.mining.hard_negatives import Triplet, bucket_by_rank
from training.mining.joint_miner import _within
from training.mining.miners import NegativeMiner, TripletMiner
from training.recipes.frozen_documents import FrozenDocuments
from training.retrieval.metrics import retrieval_metrics
from training.retrieval.ranking import NOTHING, Ranked, ranked
from training.retrieval.texts import Texts

COPIES = [
    str.upper,
    lambda text: unicodedata.normalize("NFD", text),
    lambda text: f"\u200b{text}\u3000",
    lambda text: text.translate({code: code + 0xFEE0 for code in range(0x21, 0x7F)}),
]
TEXTS = ["où est ma carte", "où est mon café", "à quelle heure", "élan ou cerf"]


def texts(documents, queries, relevant, split="train", **others):
    """Queries by their text, with the positions of their relevant documents."""
    qrels = {f"q{n}": [f"d{position}" for position in wanted] for n, wanted in enumerate(relevant)}
    parts = {"train": {}, "dev": {}, "test": {}} | {split: qrels}
    return Texts(
        PreparedData(
            {f"d{n}": text for n, text in enumerate(documents)},
            {f"q{n}": text for n, text in enumerate(queries)},
            parts,
            {},
            **others,
        )
    )


@pytest.mark.parametrize("copy", COPIES)
def test_a_query_in_any_form_is_not_ranked_for_itself(copy):
    documents = [copy(text) for text in TEXTS] + ["quelque chose"]
    found = texts(documents, TEXTS, [[1], [0], [3], [2]], "test")
    assert found.own["test"] == [{0}, {1}, {2}, {3}]
    vectors = np.eye(5, dtype=np.float32)
    vectors[:4] = (vectors[:4] + 0.9 * vectors[[1, 0, 3, 2]]) / np.sqrt(1.81)
    asked, spans = vectors[:4], [(slice(0, 4), slice(0, 5))]
    with_own = ranked(asked, vectors, 5, spans)[1]
    without = ranked(asked, vectors, 5, spans, left_out=found.own["test"])[1]
    assert retrieval_metrics(with_own, found.relevant["test"])["mrr@5"] == 0.5
    assert retrieval_metrics(without, found.relevant["test"])["mrr@1"] == 1
    assert (without[:, -1] == NOTHING).all()


def test_a_relevant_document_is_ranked_even_if_it_is_the_query():
    found = texts(["one", "two", "ONE"], ["one"], [[0]], "test")
    assert found.own["test"] == [{2}]


def test_near_duplicates_of_a_query_and_answers_to_its_copies_are_never_negatives():
    documents = ["an answer", "What is it?!", "another answer", "a wrong text", "WHAT IS IT"]
    found = texts(documents, ["what is it", "What is it", "something else"], [[0], [2], [3]])
    groups = found.document_groups
    assert found.query_groups.tolist() == [groups[1], groups[1], -1]
    assert groups[1] == groups[4]
    assert found.answer_groups() == [{groups[0], groups[1], groups[2]}] * 2 + [{groups[3]}]
    found.relevant["train"][0].add(3)
    assert groups[3] in found.answer_groups()[1]


def test_a_document_that_is_nearly_the_query_is_ranked_but_is_no_negative():
    found = texts(["an answer", "What is it?!", *DOCUMENTS[2:]], ["what is it"], [[0]])
    assert found.own["train"] == [set()]
    assert found.document_groups[1] in found.answer_groups()[0]
    miner = NegativeMiner(found, 4, 8, 2, 0.5, 1.0)
    miner.mine(every_rank(1, len(DOCUMENTS)), seed=1)
    assert 1 not in miner.known[0] and len(miner.known[0]) == 15


def test_a_set_of_which_nothing_is_left_to_rank_is_no_problem():
    """A joined set whose queries have fewer documents than ranks."""
    one = texts(["WHAT IS IT", "right", "wrong"], ["what is it"], [[1]])
    ranks = Ranked(
        np.array([[1, 2, NOTHING]]), np.array([[0.9, 0.5, -np.inf]], np.float32), np.array([0.9], np.float32)
    )
    triplets, negatives = TripletMiner(one, easy_per_hard=2), NegativeMiner(one, 1, 8, 1, 0.0, 1.0)
    triplets.mine(ranks, seed=1)
    negatives.mine(ranks, seed=1)
    assert negatives.known == [[2]]
    assert NOTHING not in bucket_by_rank(ranks.positions[0], {1}).hard_negatives
    of_joined = Ranked(np.array([[8, 9, NOTHING]]), ranks.scores, ranks.best_relevant)
    assert _within(of_joined, slice(0, 1), slice(7, 10)).positions.tolist() == [[1, 2, NOTHING]]


def every_rank(count, documents, best=1.0):
    positions = np.tile(np.arange(documents), (count, 1))
    scores = np.tile(np.linspace(0.9, 0.1, documents, dtype=np.float32), (count, 1))
    return Ranked(positions, scores, np.full(count, best, dtype=np.float32))


DOCUMENTS = ["WHAT IS IT", "What is it?!", *(f"document {n} about {n * 7}" for n in range(30))]
"""The first two are the query and its near-duplicate."""


def test_hard_negatives_are_never_the_query():
    found = texts(DOCUMENTS, ["what is it", "who are you"], [[9], [10]])
    miner = NegativeMiner(found, 4, 8, 2, 0.5, 1.0)
    miner.mine(every_rank(2, len(DOCUMENTS)), seed=1)
    assert not {0, 1} & set(miner.known[0])
    assert {0, 1} <= set(miner.known[1])
    examples = miner.examples(3)
    for row in zip(*examples.columns.values(), strict=True):
        assert row[0] != "what is it" or not set(DOCUMENTS[:2]) & set(row[1:])


def test_a_query_is_no_negative_of_itself_within_a_batch():
    queries = [f"question {n} of {n * 3}" for n in range(12)]
    documents = [text.upper() for text in queries] + [f"answer {n} is {n * 5}" for n in range(12)]
    relevant = [[(n + 1) % 12] for n in range(12)]  # every query is the answer to another one
    miner = NegativeMiner(texts(documents, queries, relevant), 3, 6, 1, 0.5, 1.0)
    miner.mine(every_rank(12, 24), seed=1)
    examples, start = miner.examples(2), 0
    for size in examples.batches:
        rows = slice(start, start + size)
        given = {
            text.casefold() for name, column in examples.columns.items() if name != "anchor" for text in column[rows]
        }
        assert given.isdisjoint(examples.columns["anchor"][rows])
        start += size


def test_triplets_never_have_the_query_as_their_negative():
    found = texts(DOCUMENTS, ["what is it"], [[9]])
    miner = TripletMiner(found, easy_per_hard=2)
    ranking = every_rank(1, len(DOCUMENTS))
    miner.mine(ranking._replace(positions=np.where(ranking.positions == 0, NOTHING, ranking.positions)), seed=1)
    assert miner.triplets == [Triplet(0, 9, 2)]


def test_judged_negatives_are_never_the_query():
    found = texts(["What  is it", "right", "wrong"], ["what is it"], [[1]], negatives={"train": {"q0": ["d0", "d2"]}})
    assert found.negatives["train"] == [[2]]


def test_frozen_documents_do_not_push_a_query_away_from_itself():
    import torch

    class Base:
        texts = texts(["right", "WHAT IS IT", "What is it?", "wrong"], ["what is it"], [[0]])
        documents = np.eye(4, dtype=np.float32)

    loss = FrozenDocuments(None, Base, Contrastive().scale)
    scores = torch.tensor([0.0, 9.0, 9.0, -9.0])
    assert float(loss._loss(scores, 0)) < 0.01
