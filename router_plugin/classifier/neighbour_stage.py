"""The expensive stage: k-nearest-neighbour similarity in the base model's space.

Sun et al., 2022, "Out-of-Distribution Detection with Deep Nearest Neighbors", show that it detects unknown queries.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

NEIGHBOURS = 3

Vectors = NDArray[np.float32]


class NeighbourStage:
    """The mean cosine with the three nearest known queries of every domain."""

    def __init__(self, embeddings: Sequence[Vectors]) -> None:
        """
        Args:
            embeddings: unit vectors of every domain's queries, ``(n, d)`` each.
        """
        self._embeddings = embeddings

    def similarities(self, queries: Vectors) -> NDArray[np.float32]:
        """For every query and domain, ``(n, domains)``."""
        return np.stack([_nearest(queries, known) for known in self._embeddings], axis=1)


def _nearest(queries: Vectors, known: Vectors) -> NDArray[np.float32]:
    count = min(NEIGHBOURS, len(known))
    if not count:
        return np.zeros(len(queries), dtype=np.float32)
    similar, rows = queries @ known.T, np.arange(len(queries))
    total: NDArray[np.float32] = np.zeros(len(queries), dtype=np.float32)
    for _ in range(count):  # one after another, which is faster than a partition of all
        best = similar.argmax(axis=1)
        total += similar[rows, best] / np.float32(count)
        similar[rows, best] = -np.inf
    return total
