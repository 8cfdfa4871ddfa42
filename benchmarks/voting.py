"""Labels a text by a vote of its nearest labelled texts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from training.retrieval.ranking import ranking, top_k

VOTERS = 5


def vote(queries: NDArray[np.float32], known: NDArray[np.float32], labels: Sequence[str]) -> list[str]:
    """The most frequent label among the 5 nearest texts; in a tie, that of the nearest.

    Args:
        queries: unit vectors, ``(q, d)``.
        known: unit vectors of labelled texts, ``(n, d)``.
        labels: the labels of those texts.
    """
    return [
        Counter(labels[position] for position in row).most_common(1)[0][0] for row in ranking(queries, known, VOTERS)
    ]


def strongest(
    queries: NDArray[np.float32], known: NDArray[np.float32], labels: Sequence[str]
) -> list[tuple[str, float]]:
    """The label with the greatest sum of cosines among the 5 nearest texts, and that sum; see :func:`vote`."""
    found = []
    for scores, rows in top_k(queries, known, VOTERS):
        for similar, positions in zip(scores.tolist(), rows.tolist(), strict=True):
            sums: dict[str, float] = defaultdict(float)
            for similarity, position in zip(similar, positions, strict=True):
                sums[labels[position]] += similarity
            found.append(max(sums.items(), key=lambda item: item[1]))
    return found
