"""The set of 3-word shingles of a text, by which near-duplicates are found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import HashingVectorizer

_HASHES = (1 << 31) - 1


def shingle_sets(keys: Sequence[str]) -> csr_matrix:
    """Which text has which shingle: all 3-word runs, and the shorter ones at a text's edges.

    Args:
        keys: at least one text, as :func:`registry.texts.words.near_key` spells it.

    Returns:
        Shingles by their hash (MurmurHash3), ascending in each row, ``(n, 2**31 - 1)``.
    """
    vectorizer = HashingVectorizer(
        analyzer=_runs_of_three, n_features=_HASHES, alternate_sign=False, norm=None, binary=True
    )
    matrix = vectorizer.transform(keys)
    return sets_of(matrix.indices.astype(np.int32), matrix.indptr)


def sets_of(shingles: NDArray[np.int32], ends: NDArray[np.integer]) -> csr_matrix:
    """The sets whose shingles stand one after another.

    Args:
        shingles: of all sets, ascending in each.
        ends: where each set ends, after a first 0, ``(n + 1,)``.
    """
    return csr_matrix((np.ones(len(shingles), dtype=np.int8), shingles, ends), shape=(len(ends) - 1, _HASHES))


def in_common(one: csr_matrix, other: csr_matrix) -> NDArray[np.int64]:
    """How many shingles each set of one matrix and that of the other have in common, ``(n,)``."""
    found: NDArray[np.int64] = np.diff(one.multiply(other).tocsr().indptr).astype(np.int64)
    return found


def _runs_of_three(key: str) -> Iterator[str]:
    words = ["^", *key.split(" "), "$"]
    return map(" ".join, zip(words, words[1:], words[2:], strict=False))
