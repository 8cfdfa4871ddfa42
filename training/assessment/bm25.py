"""Ranks documents by BM25, exactly, with sparse matrices.

The weight of a term in a document is that of Robertson and Zaragoza, 2009, "The Probabilistic Relevance Framework",
with the idf of Lucene, ln(1 + (N - n + 0.5) / (n + 0.5)), which is never negative, k1 = 1.2 and b = 0.75. Terms are the
tokens of :func:`registry.texts.words.tokens`, in any script; nothing is stemmed, and no word is left out.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags
from sklearn.feature_extraction.text import CountVectorizer

from registry.texts.words import tokens
from training.retrieval.ranking import NOTHING

K1, B = 1.2, 0.75
_QUERY_BLOCK = 64


class Bm25:
    """An index of documents."""

    def __init__(self, documents: Sequence[str]) -> None:
        """
        Args:
            documents: their texts.
        """
        self._counter = CountVectorizer(analyzer=tokens, dtype=np.float64)
        self._size = len(documents)
        try:
            counts = self._counter.fit_transform(documents).tocsr()
        except ValueError:  # sklearn's word for documents without a single token
            self._weights = None
            return
        lengths = np.asarray(counts.sum(axis=1)).ravel()
        found_in = np.bincount(counts.indices, minlength=counts.shape[1])
        idf = np.log1p((self._size - found_in + 0.5) / (found_in + 0.5))
        saturation = K1 * (1 - B + B * lengths / lengths.mean())
        counts.data *= (K1 + 1) / (counts.data + np.repeat(saturation, np.diff(counts.indptr)))
        self._weights = (counts @ diags(idf)).T.tocsr()

    def ranking(self, queries: Sequence[str], k: int, left_out: Sequence[Collection[int]]) -> NDArray[np.int64]:
        """Document positions of all queries, best first: ``(q, min(k, n))``.

        Of equal scores the first document comes first. Rows end in ``NOTHING`` where no further document has a term of
        the query.

        Args:
            queries: their texts.
            k: documents to keep.
            left_out: for each query the positions of documents that are not ranked.
        """
        ranked = np.full((len(queries), min(k, self._size)), NOTHING, dtype=np.int64)
        if self._weights is None:
            return ranked
        for start in range(0, len(queries), _QUERY_BLOCK):
            scores = (self._counter.transform(queries[start : start + _QUERY_BLOCK]) @ self._weights).tocsr()
            for row in range(scores.shape[0]):
                best = _best(scores[row], k, left_out[start + row])
                ranked[start + row, : len(best)] = best
        return ranked


def _best(scores: csr_matrix, k: int, left_out: Collection[int]) -> NDArray[np.int64]:
    """The columns of the k highest scores of a row."""
    wanted = ~np.isin(scores.indices, list(left_out))
    columns, values = scores.indices[wanted].astype(np.int64), scores.data[wanted]
    if len(values) > k:
        likely = values >= np.partition(values, -k)[-k]
        columns, values = columns[likely], values[likely]
    best: NDArray[np.int64] = columns[np.lexsort((columns, -values))][:k]
    return best
