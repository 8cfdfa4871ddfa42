"""Upper bounds of cosines from a few dimensions, by which the candidates that are worth a comparison are found."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

DIMENSIONS = 64
"""Of a sketch, which has the principal components of the candidates, and in the last place the length of the rest."""
SAMPLE = 10_000
"""Candidates from which the principal components are found."""

Matrix = NDArray[np.float32]


class Sketch:
    """Sketches of unit vectors.

    A cosine is the product of the first components and the product of the rests, and the latter is at most the product
    of their lengths (Cauchy and Schwarz).
    """

    def __init__(self, vectors: Matrix) -> None:
        """
        Args:
            vectors: ``(n, d)``.
        """
        some = vectors[:: -(-len(vectors) // SAMPLE)]
        self._axes: Matrix = np.linalg.eigh(some.T @ some)[1][:, :-DIMENSIONS:-1].astype(np.float32)
        self._sketches = self._sketched(vectors)

    def bounds(self, query: Matrix) -> Matrix:
        """What the cosines of a unit vector, ``(d,)``, with the vectors do not exceed, ``(n,)``, but for rounding."""
        found: Matrix = self._sketches @ self._sketched(query[None])[0]
        return found

    def _sketched(self, vectors: Matrix) -> Matrix:
        first = vectors @ self._axes
        rest = 1 - np.einsum("nd,nd->n", first, first)
        return np.column_stack([first, np.sqrt(rest.clip(0))])
