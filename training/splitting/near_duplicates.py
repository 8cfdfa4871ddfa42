"""Groups of near-duplicate texts, found exactly by prefix filtering (Bayardo et al., 2007; Xiao et al., 2008)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import connected_components
from sklearn.feature_extraction.text import HashingVectorizer

from registry.texts.words import near_key
from training.runs.progress import bar, track

_BUCKETS = (1 << 31) - 1
_TEXT_BLOCK = 1024
_PAIR_BLOCK = 4096
_ROUNDING = 1e-9


def near_duplicates(texts: Sequence[str], threshold: float = 0.85) -> NDArray[np.int64]:
    """A group number per text. Texts that are nearly the same share one.

    They are if they differ in normal form, case, punctuation or white space only, or if their 3-word shingles have at
    least that Jaccard similarity. Symbols are words, see :func:`registry.texts.words.tokens`. Groups are the connected
    components of similar pairs.

    Args:
        texts: any number of texts.
        threshold: Jaccard similarity of two near-duplicates, in (0, 1].
    """
    number: dict[str, int] = {}
    same = np.array([number.setdefault(near_key(text), len(number)) for text in texts], dtype=np.int64)
    if not number:
        return same
    count = len(number)
    with bar("finding near-duplicates"):
        shingles = _shingles(list(number))
    edges = _similar_pairs(shingles, threshold)
    graph = coo_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(count, count))
    groups: NDArray[np.int64] = connected_components(graph, directed=False)[1][same]
    return groups


def _runs_of_three(text: str) -> Iterator[str]:
    words = ["^", *text.split(" "), "$"]
    return map(" ".join, zip(words, words[1:], words[2:], strict=False))


def _shingles(texts: list[str]) -> csr_matrix:
    """Which text has which shingle, rarest shingles first: all 3-word runs, and the shorter ones at a text's edges."""
    vectorizer = HashingVectorizer(
        analyzer=_runs_of_three, n_features=_BUCKETS, alternate_sign=False, norm=None, binary=True
    )
    matrix = vectorizer.transform(texts).tocsr()
    known, column = np.unique(matrix.indices, return_inverse=True)
    rank = np.empty(len(known), dtype=np.int64)
    rank[np.argsort(np.bincount(column, minlength=len(known)), kind="stable")] = np.arange(len(known))
    shape = (len(texts), max(len(known), 1))
    shingles = csr_matrix((np.ones(len(column), dtype=np.float32), rank[column], matrix.indptr), shape=shape)
    shingles.sort_indices()
    return shingles


def _similar_pairs(shingles: csr_matrix, threshold: float) -> NDArray[np.int64]:
    """Pairs over the threshold: two such texts share one of the ``n - ceil(threshold * n) + 1`` rarest shingles."""
    sizes = np.diff(shingles.indptr).astype(np.int64)
    kept = sizes - np.ceil(threshold * sizes - _ROUNDING).astype(np.int64) + 1
    place = np.arange(shingles.nnz) - np.repeat(shingles.indptr[:-1], sizes)
    prefix = shingles.copy()
    prefix.data[place >= np.repeat(kept, sizes)] = 0
    prefix.eliminate_zeros()
    by_shingle = prefix.T.tocsr()
    found = [np.empty((0, 2), dtype=np.int64)]
    for start in track(range(0, len(sizes), _TEXT_BLOCK), "comparing near-duplicates"):
        shared = (prefix[start : start + _TEXT_BLOCK] @ by_shingle).tocoo()
        one, other = shared.row + start, shared.col
        likely = (one < other) & (
            np.minimum(sizes[one], sizes[other]) >= threshold * np.maximum(sizes[one], sizes[other]) - _ROUNDING
        )
        candidates = np.stack([one[likely], other[likely]], axis=1)
        for offset in range(0, len(candidates), _PAIR_BLOCK):
            pairs = candidates[offset : offset + _PAIR_BLOCK]
            common = np.asarray(shingles[pairs[:, 0]].multiply(shingles[pairs[:, 1]]).sum(axis=1)).ravel()
            union = sizes[pairs].sum(axis=1) - common
            found.append(pairs[common >= threshold * union - _ROUNDING])
    return np.concatenate(found)
