"""Reciprocal rank fusion of two rankings."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from registry.texts.fusion import DEPTH, fuse

RANKING = st.lists(st.integers(0, 20), unique=True, max_size=12)


def fused(first: list[int], second: list[int]) -> list[int]:
    return fuse(np.array(first, dtype=np.int64), np.array(second, dtype=np.int64)).tolist()


def test_what_both_rank_beats_the_first_of_one() -> None:
    # 2 has 1/62 + 1/62, more than 1/61 of 0 and of 1
    assert fused([0, 2], [1, 2]) == [2, 0, 1]


def test_equal_sums_go_by_the_first_ranking() -> None:
    assert fused([4], [3]) == [4, 3]
    assert fused([9, 2], [2, 9]) == [9, 2]


def test_ranks_beyond_the_depth_do_not_count() -> None:
    first, second = list(range(DEPTH + 1)), [DEPTH]
    assert fused(first, second).index(DEPTH) == 1  # 1/61, as the first; not more


@given(RANKING, RANKING)
def test_the_order_is_that_of_the_sums_by_hand(first: list[int], second: list[int]) -> None:
    def place(each: int) -> tuple[float, int]:
        ranks = [ranking.index(each) + 1 for ranking in (first, second) if each in ranking]
        return -sum(1 / (60 + rank) for rank in ranks), first.index(each) if each in first else len(first)

    assert fused(first, second) == sorted({*first, *second}, key=place)


@given(RANKING)
def test_a_ranking_fused_with_itself_or_with_nothing_stays(ranking: list[int]) -> None:
    assert fused(ranking, ranking) == fused(ranking, []) == fused([], ranking) == ranking
