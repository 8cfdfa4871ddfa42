"""Ranks texts by BM25, exactly.

The weight of a term in a document is that of Robertson and Zaragoza, 2009, "The Probabilistic Relevance Framework",
with the idf of Lucene, ln(1 + (N - n + 0.5) / (n + 0.5)), which is never negative, k1 = 1.2 and b = 0.75. Terms are the
tokens of :func:`registry.texts.words.tokens`, in any script; nothing is stemmed, and no word is left out.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from registry.texts.words import tokens

K1, B = 1.2, 0.75
BLOCK = 8192
"""Documents that are in an index at a time where all queries are known."""


class Statistics(NamedTuple):
    """What the weights of terms depend on, of all documents of a collection.

    Attributes:
        size: number of documents.
        length: their mean length, in terms.
        with_term: number of documents that have a term, by term.
    """

    size: int
    length: float
    with_term: Mapping[str, int]

    @classmethod
    def of(cls, documents: Iterable[str], terms: Iterable[str]) -> Statistics:
        """Those of documents, at least one, for some terms; the documents are read one after the other."""
        with_term = dict.fromkeys(terms, 0)
        size = total = 0
        for text in documents:
            found = tokens(text)
            size, total = size + 1, total + len(found)
            for term in with_term.keys() & found:
                with_term[term] += 1
        return cls(size, total / size, with_term)


class Bm25:
    """An index of documents. Never changed; safe to use from several threads."""

    def __init__(self, documents: Iterable[str], whole: Statistics | None = None) -> None:
        """
        Args:
            documents: their texts.
            whole: the collection that they are a part of; terms that it does not know are left out. By default they are
                a collection.
        """
        self._terms: dict[str, int] = {}
        terms, found_in, counts, lengths = array("i"), array("i"), array("f"), array("d")
        for number, text in enumerate(documents):
            found = Counter(tokens(text))
            lengths.append(found.total())
            if whole is not None:
                found = Counter({term: count for term, count in found.items() if term in whole.with_term})
            terms.extend([self._terms.setdefault(term, len(self._terms)) for term in found])
            found_in.extend([number] * len(found))
            counts.extend(found.values())
        self._size = len(lengths)
        by_term = np.argsort(terms, kind="stable")
        self._documents = np.array(found_in, dtype=np.int64)[by_term]
        entries = np.bincount(np.array(terms, dtype=np.int64), minlength=len(self._terms))
        self._ends = np.cumsum(entries).tolist()
        if whole is None:
            mean = sum(lengths) / max(self._size, 1)
            whole = Statistics(self._size, mean, dict(zip(self._terms, entries.tolist(), strict=True)))
        idf = np.repeat(_idf(whole, self._terms), entries)
        self._weights = _weights(np.array(counts, dtype=np.float64)[by_term], self._documents, idf, lengths, whole)

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


def rankings(
    documents: Sequence[str],
    queries: Sequence[str],
    limit: int,
    left_out: Sequence[Collection[int]],
    advance: Callable[[int], None] = lambda _: None,
) -> list[NDArray[np.int64]]:
    """What :meth:`Bm25.ranking` gives for every query, with an index of few documents at a time.

    Args:
        documents: their texts; more than :data:`BLOCK` are read twice.
        queries: their texts.
        limit: documents to keep.
        left_out: for every query the positions of documents that are not ranked.
        advance: called with 1 when a query is ranked in a block of documents.
    """
    whole = None
    if len(documents) > BLOCK:
        whole = Statistics.of(documents, (term for query in queries for term in tokens(query)))
    best = [(np.empty(0), np.empty(0, dtype=np.int64)) for _ in queries]
    for start in range(0, len(documents), BLOCK):
        block = range(start, min(start + BLOCK, len(documents)))
        index = Bm25(documents[block.start : block.stop], whole)
        for number, (query, apart) in enumerate(zip(queries, left_out, strict=True)):
            scores = index.scores(query)
            scores[[position - start for position in apart if position in block]] = 0
            best[number] = _merged(*best[number], scores, start, limit)
            advance(1)
    return [positions for _, positions in best]


def _merged(
    scores: NDArray[np.float64], positions: NDArray[np.int64], block: NDArray[np.float64], start: int, limit: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The highest scores and their positions, of those so far and of a block of documents from ``start`` on."""
    found = highest(block, limit)
    scores, positions = np.concatenate([scores, block[found]]), np.concatenate([positions, found + start])
    kept = highest(scores, limit)
    return scores[kept], positions[kept]


def highest(scores: NDArray[np.float64], limit: int) -> NDArray[np.int64]:
    """Positions of the highest scores above 0, the highest first, at most ``limit``; of equal ones the first first."""
    found = np.flatnonzero(scores > 0)
    if len(found) > limit:
        found = found[scores[found] >= np.partition(scores[found], -limit)[-limit]]
    best: NDArray[np.int64] = found[np.argsort(-scores[found], kind="stable")][:limit]
    return best


def _idf(whole: Statistics, terms: Iterable[str]) -> NDArray[np.float64]:
    """The inverse document frequency of terms, ``(terms,)``."""
    with_term = np.array([whole.with_term[term] for term in terms], dtype=np.int64)
    found: NDArray[np.float64] = np.log1p((whole.size - with_term + 0.5) / (with_term + 0.5))
    return found


def _weights(
    counts: NDArray[np.float64],
    documents: NDArray[np.int64],
    idf: NDArray[np.float64],
    lengths: array[float],
    whole: Statistics,
) -> NDArray[np.float64]:
    """The weight of every term in every document that has it, in the order of the terms.

    Args:
        counts: how often the document has the term, ``(p,)``.
        documents: positions, ``(p,)``.
        idf: of the term, ``(p,)``.
        lengths: terms of each document.
        whole: the collection.
    """
    if not len(counts):
        return counts
    saturation = K1 * (1 - B + B * np.array(lengths) / whole.length)
    weights: NDArray[np.float64] = idf * counts * (K1 + 1) / (counts + saturation[documents])
    return weights
