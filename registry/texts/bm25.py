"""Ranks texts by BM25, exactly.

The weight of a term in a document is that of Robertson and Zaragoza, 2009, "The Probabilistic Relevance Framework",
with the idf of Lucene, ln(1 + (N - n + 0.5) / (n + 0.5)), which is never negative, k1 = 1.2 and b = 0.75. Terms are the
tokens of :func:`registry.texts.words.tokens`, in any script; nothing is stemmed, and no word is left out.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Collection, Iterable

import numpy as np
from numpy.typing import NDArray

from registry.texts.words import tokens

K1, B = 1.2, 0.75


class Bm25:
    """An index of documents. Never changed; safe to use from several threads."""

    def __init__(self, documents: Iterable[str]) -> None:
        """
        Args:
            documents: their texts.
        """
        self._terms: dict[str, int] = {}
        terms, found_in, counts, lengths = array("i"), array("i"), array("f"), array("d")
        for number, text in enumerate(documents):
            found = Counter(tokens(text))
            lengths.append(found.total())
            terms.extend([self._terms.setdefault(term, len(self._terms)) for term in found])
            found_in.extend([number] * len(found))
            counts.extend(found.values())
        self._size = len(lengths)
        by_term = np.argsort(terms, kind="stable")
        self._documents = np.array(found_in, dtype=np.int64)[by_term]
        with_term = np.bincount(np.array(terms, dtype=np.int64), minlength=len(self._terms))
        self._ends = np.cumsum(with_term).tolist()
        self._weights = _weights(np.array(counts, dtype=np.float64)[by_term], self._documents, with_term, lengths)

    def scores(self, query: str) -> NDArray[np.float64]:
        """The score of every document, ``(n,)``; 0 where it has no term of the query."""
        scores = np.zeros(self._size)
        for term, count in Counter(tokens(query)).items():
            number = self._terms.get(term)
            if number is not None:
                found = slice(self._ends[number - 1] if number else 0, self._ends[number])
                scores[self._documents[found]] += count * self._weights[found]
        return scores

    def ranking(self, query: str, limit: int, left_out: Collection[int] = ()) -> NDArray[np.int64]:
        """Positions of the documents that have a term of the query, the best first, at most ``limit``.

        Of equal scores the first document comes first.

        Args:
            query: its text.
            limit: documents to keep.
            left_out: positions of documents that are not ranked.
        """
        scores = self.scores(query)
        scores[list(left_out)] = 0
        return highest(scores, limit)


def highest(scores: NDArray[np.float64], limit: int) -> NDArray[np.int64]:
    """Positions of the highest scores above 0, the highest first, at most ``limit``; of equal ones the first first."""
    found = np.flatnonzero(scores > 0)
    if len(found) > limit:
        found = found[scores[found] >= np.partition(scores[found], -limit)[-limit]]
    best: NDArray[np.int64] = found[np.argsort(-scores[found], kind="stable")][:limit]
    return best


def _weights(
    counts: NDArray[np.float64], documents: NDArray[np.int64], with_term: NDArray[np.int64], lengths: array[float]
) -> NDArray[np.float64]:
    """The weight of every term in every document that has it, in the order of the terms.

    Args:
        counts: how often the document has the term, ``(p,)``.
        documents: positions, ``(p,)``.
        with_term: number of documents that have each term, ``(terms,)``.
        lengths: terms of each document.
    """
    if not len(counts):
        return counts
    length = np.array(lengths)
    idf = np.log1p((len(length) - with_term + 0.5) / (with_term + 0.5))
    saturation = K1 * (1 - B + B * length / length.mean())
    weights: NDArray[np.float64] = np.repeat(idf, with_term) * counts * (K1 + 1) / (counts + saturation[documents])
    return weights
