"""How good any ranking can be, given the labels and the base model."""

from __future__ import annotations

import numpy as np
import pytest

from tests.training.assessment.samples import texts
from training.assessment.obstacles import (
    Obstacles,
    agree,
    best_among_equals,
    best_shared_ranking,
    contradictions,
    find_obstacles,
)
from training.retrieval.ranking import NOTHING


@pytest.mark.parametrize(
    ("relevant", "best"),
    [
        ([{0}, {1}], (1 + 1 / 2) / 2),
        ([{0}, {0}, {1}], (1 + 1 + 1 / 2) / 3),
        ([{0, 1}, {1, 2}], 1.0),
    ],
)
def test_equal_questions_share_the_best_ranking(relevant: list[set[int]], best: float) -> None:
    assert best_shared_ranking(relevant) == pytest.approx(best)


@pytest.mark.parametrize(
    ("equal", "relevant", "best"), [(1, 1, 1.0), (2, 1, (1 + 1 / 2) / 2), (3, 1, (1 + 1 / 2 + 1 / 3) / 3), (3, 3, 1.0)]
)
def test_one_right_answer_among_equal_ones_is_found_by_chance(equal: int, relevant: int, best: float) -> None:
    assert best_among_equals(equal, relevant) == pytest.approx(best)


def test_two_right_answers_among_three_equal_ones() -> None:
    assert best_among_equals(3, 2) == pytest.approx(2 / 3 + 1 / 3 * 1 / 2)


def test_equal_questions_with_different_answers_contradict_each_other() -> None:
    known = texts(
        ["one", "two", "three"],
        dev=[("What is it?", [0]), ("Who was it", [1])],
        train=[("what is it", [1]), ("who was it", [1, 2]), ("WHAT is it!", [])],
    )
    assert [[query for query, _ in group] for group in contradictions(known)] == [["what is it", "What is it?"]]


def test_the_dev_query_of_a_contradiction_has_half_the_ceiling_of_both() -> None:
    known = texts(["one", "two"], dev=[("what", [0]), ("who", [1])], train=[("what", [1])])
    first = np.array([[1, 0], [0, 1]])
    ceiling = find_obstacles(known, first, np.full_like(first, NOTHING)).ceiling()
    assert ceiling.contradictory_questions == pytest.approx((1 - 3 / 4) / 2)
    assert ceiling.value == pytest.approx((3 / 4 + 1) / 2)


def test_an_equal_answer_under_another_id_lowers_the_ceiling() -> None:
    known = texts(["Same text.", "same text", "other"], dev=[("what", [0]), ("who", [0, 1])])
    missed = np.array([[2, 1, 0], [2, 1, 0]])
    ceiling = find_obstacles(known, missed, np.full_like(missed, NOTHING)).ceiling()
    assert ceiling.same_answer_twice == pytest.approx((1 - 3 / 4) / 2)


def test_what_both_rankers_put_first_is_trusted_as_far_as_they_are_right() -> None:
    known = texts(
        ["a", "b", "c"],
        dev=[("1", [0]), ("2", [0]), ("3", [0]), ("4", [0]), ("5", [2])],
        negatives={2: [1]},
    )
    base = np.array([[0, 1, 2], [0, 1, 2], [1, 0, 2], [1, 0, 2], [0, 2, 1]])
    bm25 = np.array([[0, 1, 2], [0, 1, 2], [1, 0, 2], [1, 0, 2], [NOTHING] * 3])
    agreed = agree(known, base, bm25)
    assert agreed.precision == 0.5
    assert agreed.unjudged == {3: 1}
    assert find_obstacles(known, base, bm25).ceiling().unjudged_answers == pytest.approx(0.25 / 5)


def test_rankers_that_never_agree_suspect_nothing() -> None:
    known = texts(["a", "b"], dev=[("1", [0])])
    agreed = agree(known, np.array([[0, 1]]), np.array([[1, 0]]))
    assert (agreed.precision, agreed.unjudged) == (0.0, {})


def test_errors_are_split_by_the_rank_of_the_first_right_document() -> None:
    known = texts(["a", "b", "c"], dev=[("1", [0]), ("2", [1, 2]), ("3", [2])])
    base = np.array([[0, 1], [0, 1], [0, 1]])
    obstacles = find_obstacles(known, base, np.full_like(base, NOTHING))
    assert obstacles.reached.tolist() == [1, 0.5, 0]
    assert obstacles.errors().model_dump() == {"first": 1, "within_reach": 1, "out_of_reach": 1}
    assert obstacles.ceiling().out_of_reach == pytest.approx(1 / 3)


def test_the_ceiling_is_no_lower_than_what_the_base_model_reaches() -> None:
    half, one = np.array([0.5]), np.array([1.0])
    ceiling = Obstacles(questions=half, answers=half, unjudged=half, reached=one).ceiling()
    assert ceiling.value == 1
    assert ceiling.contradictory_questions == 0
