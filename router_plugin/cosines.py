"""Cosines as scores: within [-1, 1], to six decimals, and compared with thresholds by one rule.

In single precision the cosine of two vectors is off by up to 1e-6, by another amount in every batch.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

DECIMALS = 6
TOLERANCE = 10.0**-DECIMALS
"""Scores that differ by no more may be one and the same."""

_FLAWED = 1e-5
"""How far the squared length of a unit vector in single precision may be from 1."""


def rounded(cosines: NDArray[np.floating]) -> Floats:
    """Cosines as they leave the router: within [-1, 1], to six decimals. NaN stays NaN."""
    found: Floats = cosines.astype(np.float64).clip(-1, 1).round(DECIMALS)
    return found


def reaches(scores: Floats, thresholds: Floats | float) -> NDArray[np.bool_]:
    """Whether scores are as high as thresholds, or lower by no more than :data:`TOLERANCE`."""
    found: NDArray[np.bool_] = scores >= np.asarray(thresholds) - TOLERANCE
    return found


def unit(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    """Vectors ``(n, d)`` in single precision and of length 1; one of zeros stays as it is.

    A model in half precision makes its vectors unit vectors to within 1e-3 only.
    """
    exact = np.asarray(vectors, dtype=np.float32)
    squares = np.einsum("nd,nd->n", exact, exact)
    if (np.abs(squares - 1) <= _FLAWED).all():
        return exact
    lengths = np.sqrt(np.where(squares > 0, squares, np.float32(1)))
    made: NDArray[np.float32] = exact / lengths[:, None]
    return made


def usable(vectors: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Which vectors ``(n, d)`` are finite. Others, of a damaged model or after an overflow, compare with nothing."""
    found: NDArray[np.bool_] = np.isfinite(vectors.sum(axis=-1))
    return found
