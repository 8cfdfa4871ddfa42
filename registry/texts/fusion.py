"""Fuses two rankings by reciprocal rank (Cormack, Clarke and Buettcher, 2009)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CONSTANT = 60
"""The one of the paper, which was not tuned here."""
DEPTH = 100
"""Ranks of either ranking that count."""

Positions = NDArray[np.int64]

_RECIPROCALS = 1 / (CONSTANT + np.arange(1, DEPTH + 1))


def fuse(first: Positions, second: Positions) -> Positions:
    """What is in one of two rankings, by the sum of ``1 / (60 + rank)`` over both, the best first.

    Of equal sums, the one that is higher in the first ranking comes first.

    Args:
        first: positions, the best first, each once.
        second: likewise.
    """
    first, second = first[:DEPTH], second[:DEPTH]
    found, where = np.unique(np.concatenate([first, second]), return_inverse=True)
    sums = np.bincount(where, np.concatenate([_RECIPROCALS[: len(first)], _RECIPROCALS[: len(second)]]))
    ranks = np.full(len(found), DEPTH)
    ranks[where[: len(first)]] = np.arange(len(first))
    fused: Positions = found[np.lexsort((ranks, -sums))]
    return fused
