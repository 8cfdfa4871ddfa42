"""Fuses two rankings by reciprocal rank (Cormack, Clarke and Buettcher, 2009)."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from training.retrieval.ranking import NOTHING

CONSTANT = 60
"""The one of the paper, which was not tuned here."""


def fuse(one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int64]:
    """Documents by the sum of ``1 / (60 + rank)`` over the two rankings, best first.

    Of equal sums the first document comes first.

    Args:
        one: document positions of the same queries, best first, ``(q, k)``; ``NOTHING`` ends short rows.
        other: likewise.

    Returns:
        The first k documents of each query, ``(q, k)``.
    """
    fused = np.full_like(one, NOTHING)
    for query in range(len(one)):
        sums: dict[int, float] = defaultdict(float)
        for ranking in (one, other):
            for rank, document in enumerate(ranking[query].tolist(), start=1):
                if document != NOTHING:
                    sums[document] += 1 / (CONSTANT + rank)
        best = sorted(sums, key=lambda document: (-sums[document], document))[: fused.shape[1]]
        fused[query, : len(best)] = best
    return fused
