"""BM25: its weights by hand, the order of equal scores, and what is not ranked."""

from __future__ import annotations

from math import log

import numpy as np
import pytest

from training.assessment.bm25 import Bm25
from training.retrieval.ranking import NOTHING

DOCUMENTS = ["the red house", "the red red car", "a blue boat at sea"]


def test_a_score_is_that_of_the_formula_by_hand() -> None:
    # lengths 3, 4, 5 with mean 4; "red" is in two of three documents, "car" in one
    red, car = log(1 + 1.5 / 2.5), log(1 + 2.5 / 1.5)
    first = red * 2.2 * 1 / (1 + 1.2 * (0.25 + 0.75 * 3 / 4))
    second = red * 2.2 * 2 / (2 + 1.2 * 1) + car * 2.2 * 1 / (1 + 1.2 * 1)
    index = Bm25(DOCUMENTS)
    assert index._weights is not None
    scores = (index._counter.transform(["Red car!"]) @ index._weights).toarray()[0]
    assert scores == pytest.approx([first, second, 0])


def test_a_term_that_a_query_repeats_counts_as_often() -> None:
    index = Bm25(DOCUMENTS)
    assert index.ranking(["red sea", "red red red red sea"], 1, [(), ()]).tolist() == [[2], [1]]


def test_documents_come_best_first_and_those_without_a_term_not_at_all() -> None:
    assert Bm25(DOCUMENTS).ranking(["red car", "green"], 3, [(), ()]).tolist() == [
        [1, 0, NOTHING],
        [NOTHING, NOTHING, NOTHING],
    ]


@pytest.mark.parametrize("k", [1, 2, 3])
def test_of_equal_scores_the_first_document_comes_first_whatever_k(k: int) -> None:
    assert Bm25(["b a", "a c", "a d"]).ranking(["a"], k, [()]).tolist() == [[0, 1, 2][:k]]


def test_documents_that_are_the_query_itself_are_left_out() -> None:
    assert Bm25(DOCUMENTS).ranking(["red car", "red car"], 2, [{1}, {0}]).tolist() == [[0, NOTHING], [1, NOTHING]]


def test_text_without_spaces_is_found_by_pairs_of_letters() -> None:
    assert Bm25(["信用卡丢了", "天气很好"]).ranking(["我的信用卡"], 2, [()]).tolist() == [[0, NOTHING]]


def test_documents_without_a_word_are_ranked_nowhere() -> None:
    assert Bm25(["...", "?!"]).ranking(["what?"], 5, [()]).tolist() == [[NOTHING, NOTHING]]


def test_many_queries_are_ranked_as_each_alone() -> None:
    draw = np.random.default_rng(0)
    documents = [" ".join(draw.choice(list("abcdefgh"), 6)) for _ in range(200)]
    queries = [" ".join(draw.choice(list("abcdefgh"), 3)) for _ in range(150)]
    index = Bm25(documents)
    together = index.ranking(queries, 10, [()] * 150)
    assert together.tolist() == [index.ranking([query], 10, [()])[0].tolist() for query in queries]
