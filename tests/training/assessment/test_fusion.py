"""Reciprocal rank fusion of two rankings."""

from __future__ import annotations

import numpy as np

from training.assessment.fusion import fuse
from training.retrieval.ranking import NOTHING


def test_a_document_that_both_rank_beats_the_first_of_one() -> None:
    # 2 has 1/62 + 1/62, more than 1/61 of 0 and of 1
    assert fuse(np.array([[0, 2]]), np.array([[1, 2]])).tolist() == [[2, 0]]


def test_equal_sums_go_by_position_and_short_rankings_end_early() -> None:
    one, other = np.array([[4, NOTHING, NOTHING]]), np.array([[3, NOTHING, NOTHING]])
    assert fuse(one, other).tolist() == [[3, 4, NOTHING]]
