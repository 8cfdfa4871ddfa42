"""The dear stage of the domain classifier: how near a query is to the nearest known ones of each domain.

Sun et al., 2022, "Out-of-Distribution Detection with Deep Nearest Neighbors", for why that tells the unknown.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

NEIGHBOURS = 3

Vectors = NDArray[np.float32]


class NeighbourStage:
    """The mean cosine with the nearest known queries of every domain."""

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
    found: NDArray[np.float32] = np.partition(queries @ known.T, -count, axis=1)[:, -count:].mean(axis=1)
    return found
