"""BM25: its weights by hand, the order of equal scores, and what is not ranked."""

from __future__ import annotations

from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.texts import bm25
from registry.texts.bm25 import Bm25, highest, rankings

DOCUMENTS = ["the red house", "the red red car", "a blue boat at sea"]
SCORES = st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), max_size=12).map(np.array)


def test_a_score_is_that_of_the_formula_by_hand() -> None:
    # lengths 3, 4, 5 with mean 4; "red" is in two of three documents, "car" in one
    red, car = log(1 + 1.5 / 2.5), log(1 + 2.5 / 1.5)
    first = red * 2.2 * 1 / (1 + 1.2 * (0.25 + 0.75 * 3 / 4))
    second = red * 2.2 * 2 / (2 + 1.2 * 1) + car * 2.2 * 1 / (1 + 1.2 * 1)
    assert Bm25(DOCUMENTS).scores("Red car!") == pytest.approx([first, second, 0])


def test_a_term_that_a_query_repeats_counts_as_often() -> None:
    index = Bm25(DOCUMENTS)
    assert [index.ranking(query, 1).tolist() for query in ("red sea", "red red red red sea")] == [[2], [1]]


def test_documents_come_best_first_and_those_without_a_term_not_at_all() -> None:
    index = Bm25(DOCUMENTS)
    assert index.ranking("red car", 3).tolist() == [1, 0]
    assert index.ranking("green", 3).tolist() == index.ranking("", 3).tolist() == []


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_of_equal_scores_the_first_document_comes_first_whatever_the_limit(limit: int) -> None:
    assert Bm25(["b a", "a c", "a d"]).ranking("a", limit).tolist() == [0, 1, 2][:limit]


def test_documents_that_are_the_query_itself_are_left_out() -> None:
    index = Bm25(DOCUMENTS)
    assert index.ranking("red car", 2, {1}).tolist() == [0]
    assert index.ranking("red car", 2, {0}).tolist() == [1]


def test_text_without_spaces_is_found_by_pairs_of_letters() -> None:
    assert Bm25(["信用卡丢了", "天气很好"]).ranking("我的信用卡", 2).tolist() == [0]


@pytest.mark.parametrize("documents", [[], ["...", "?!"]])
def test_documents_without_a_word_are_ranked_nowhere(documents: list[str]) -> None:
    index = Bm25(documents)
    assert index.ranking("what?", 5).tolist() == []
    assert index.scores("what?").tolist() == [0.0] * len(documents)


def test_the_scores_of_many_documents_are_those_of_the_formula() -> None:
    draw = np.random.default_rng(0)
    documents = [" ".join(draw.choice(list("abcdefgh"), draw.integers(1, 9))) for _ in range(200)]
    lengths = np.array([len(text.split()) for text in documents])
    index = Bm25(documents)
    for query in ("a b", "c", "h g f e d", "a z"):
        wanted = np.zeros(200)
        for term in query.split():
            counts = np.array([text.split().count(term) for text in documents])
            found = np.count_nonzero(counts)
            idf = log(1 + (200 - found + 0.5) / (found + 0.5))
            wanted += idf * counts * 2.2 / (counts + 1.2 * (0.25 + 0.75 * lengths / lengths.mean()))
        assert index.scores(query) == pytest.approx(wanted)


WORDS = st.lists(st.sampled_from("abcde"), max_size=6).map(" ".join)


@given(st.lists(WORDS, max_size=12), st.lists(st.tuples(WORDS, st.sets(st.integers(0, 11))), max_size=4), st.data())
def test_blocks_of_documents_rank_as_one_index_does_to_the_last_bit(
    documents: list[str], asked: list[tuple[str, set[int]]], draw: st.DataObject
) -> None:
    limit, size = draw.draw(st.integers(1, 5)), draw.draw(st.integers(1, 12))
    left_out = [{place for place in apart if place < len(documents)} for _, apart in asked]
    queries = [query for query, _ in asked]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bm25, "BLOCK", size)
        found = rankings(documents, queries, limit, left_out)
    whole = Bm25(documents)
    wanted = [whole.ranking(query, limit, apart) for query, apart in zip(queries, left_out, strict=True)]
    assert [each.tolist() for each in found] == [each.tolist() for each in wanted]
    if documents:
        terms = bm25.Statistics.of(documents, (term for query in queries for term in query.split()))
        part = Bm25(documents[-size:], terms)
        for query in queries:
            assert np.array_equal(part.scores(query), whole.scores(query)[-size:])


@given(SCORES, st.integers(0, 5))
def test_the_highest_are_the_first_of_all_in_order(scores: np.ndarray, limit: int) -> None:
    wanted = sorted(np.flatnonzero(scores).tolist(), key=lambda row: (-scores[row], row))
    assert highest(scores, limit).tolist() == wanted[:limit]
