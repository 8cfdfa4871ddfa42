"""Groups of near-duplicate texts, by MinHash signatures in bands (Broder, 1997; Leskovec et al., 2014, ch. 3)."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from sklearn.feature_extraction.text import HashingVectorizer

BANDS = 16
ROWS = 8
"""16 bands of 8 rows catch a pair of Jaccard similarity 0.85 with probability 0.995."""

_PRIME = np.uint64((1 << 31) - 1)


def near_duplicates(texts: Sequence[str], threshold: float = 0.85) -> NDArray[np.int32]:
    """A group number for every text; texts whose 3-word shingles have at least that Jaccard similarity share one.

    Case, punctuation and white space do not count. Similarity is transitive here: a group is a connected component.

    Args:
        texts: any number of texts.
        threshold: Jaccard similarity of two near-duplicates, in (0, 1].
    """
    if not texts:
        return np.empty(0, dtype=np.int32)
    words = [" ".join(re.findall(r"\w+", text.casefold())) for text in texts]
    numbers = {text: number for number, text in enumerate(dict.fromkeys(words))}
    shingles = _shingles(list(numbers))
    edges = _similar_pairs(shingles, threshold)
    count = len(numbers)
    graph = coo_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(count, count))
    groups: NDArray[np.int32] = connected_components(graph, directed=False)[1]
    return groups[[numbers[text] for text in words]]


def _shingles(texts: list[str]) -> list[NDArray[np.uint64]]:
    """The distinct hashed shingles of each text: all 3-word runs, and the shorter ones at its edges."""
    vectorizer = HashingVectorizer(
        ngram_range=(3, 3),
        n_features=int(_PRIME),
        alternate_sign=False,
        norm=None,
        token_pattern=r"\S+",
    )
    matrix = vectorizer.transform([f"^ {text} $" for text in texts]).tocsr()
    return [row.astype(np.uint64) for row in np.split(matrix.indices, matrix.indptr[1:-1])]


def _similar_pairs(shingles: list[NDArray[np.uint64]], threshold: float) -> NDArray[np.int64]:
    """Pairs over the threshold: each text is compared with the first text of every bucket it falls into."""
    signatures = _signatures(shingles)
    pairs: set[tuple[int, int]] = set()
    for band in range(BANDS):
        rows = np.ascontiguousarray(signatures[:, band * ROWS : (band + 1) * ROWS])
        _, first, bucket = np.unique(rows, axis=0, return_index=True, return_inverse=True)
        representative = first[bucket.ravel()]
        others = np.flatnonzero(representative != np.arange(len(rows)))
        pairs.update(zip(representative[others].tolist(), others.tolist(), strict=True))
    kept = [pair for pair in sorted(pairs) if _jaccard(shingles[pair[0]], shingles[pair[1]]) >= threshold]
    return np.array(kept, dtype=np.int64).reshape(-1, 2)


def _signatures(shingles: list[NDArray[np.uint64]]) -> NDArray[np.uint64]:
    """MinHash signatures: ``(n, BANDS * ROWS)``."""
    draw = np.random.default_rng(0)
    size = BANDS * ROWS
    multiplier = draw.integers(1, int(_PRIME), size, dtype=np.uint64)
    offset = draw.integers(0, int(_PRIME), size, dtype=np.uint64)
    signatures = np.empty((len(shingles), size), dtype=np.uint64)
    for index, values in enumerate(shingles):
        hashed = (values[:, None] * multiplier + offset) % _PRIME
        signatures[index] = hashed.min(axis=0) if len(values) else _PRIME
    return signatures


def _jaccard(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> float:
    common = len(np.intersect1d(one, other, assume_unique=True))
    union = len(one) + len(other) - common
    return common / union if union else 1.0
