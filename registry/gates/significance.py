"""Whether a gain is significant: a bootstrap interval and a randomisation test over the queries of a split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DRAWS = 10_000
_BLOCK = 250
_LEVELS = (2.5, 97.5)


@dataclass(frozen=True)
class Comparison:
    """One model minus another: the mean over queries, its 95 % interval, and the p-value of the two-sided test."""

    difference: float
    low: float
    high: float
    p_value: float


def compare(
    base: NDArray[np.float64], adapted: NDArray[np.float64], seed: int, sets: Sequence[slice] = (slice(None),)
) -> Comparison:
    """Compare two models on the same queries.

    The interval is the percentile bootstrap's (Efron and Tibshirani, 1993, ch. 13); the test is the two-sided
    randomisation test, which flips the signs of the queries' differences (Smucker et al., 2007).

    Args:
        base: a metric of every query, ``(q,)``.
        adapted: the same for the model that base is subtracted from.
        seed: of the draws.
        sets: the queries of each set. All sets count the same, whatever their size: queries are drawn per set, and the
            means of the sets are averaged.
    """
    found = [np.asarray(adapted[rows] - base[rows], dtype=np.float64) for rows in sets]
    draw = np.random.default_rng(seed)
    means, flipped = np.zeros(DRAWS), np.zeros(DRAWS)
    for differences in found:
        count = len(differences)
        for start in range(0, DRAWS, _BLOCK):
            block = slice(start, start + _BLOCK)
            means[block] += differences[draw.integers(count, size=(_BLOCK, count))].mean(axis=1)
            flipped[block] += (draw.integers(2, size=(_BLOCK, count)) * 2 - 1) @ differences / count
    means /= len(found)
    flipped /= len(found)
    difference = float(np.mean([differences.mean() for differences in found]))
    as_far = np.count_nonzero(np.abs(flipped) >= abs(difference) - 1e-12)
    low, high = np.percentile(means, _LEVELS)
    return Comparison(difference, float(low), float(high), (as_far + 1) / (DRAWS + 1))
