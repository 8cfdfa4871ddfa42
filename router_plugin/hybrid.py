"""Ranks routes by the words of their utterances, and by these and their scores together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from registry.shared.texts import clean
from registry.texts.bm25 import Bm25, highest
from registry.texts.fusion import DEPTH, fuse
from router_plugin.cosines import Floats
from router_plugin.routes import Route


class RouteWords:
    """An index of the words of routes. Never changed."""

    def __init__(self, routes: Sequence[Route]) -> None:
        """
        Args:
            routes: at least one.
        """
        self._index = Bm25(clean(text) for route in routes for text in route.utterances)
        counts = np.array([len(route.utterances) for route in routes], dtype=np.int64)
        self._starts = np.cumsum(counts) - counts

    def scores(self, text: str) -> Floats:
        """The BM25 score of every route, ``(r,)``: that of its best utterance; 0 where none has a word of the text."""
        found: Floats = np.maximum.reduceat(self._index.scores(text), self._starts)
        return found


def preferences(scores: Floats, words: Floats) -> Floats:
    """Numbers by which routes are ordered, the best has the highest, ``(r,)``.

    First come routes of which an utterance is the query itself, to the encoder. Then those that are among the first 100
    by score or by words, in the order of :func:`fuse`, which prefers the score where both ways are equal. The others
    follow by score. Of equal scores, the one with the better words comes first.

    Args:
        scores: of the routes, ``(r,)``: 1 is that of the query itself, which nothing exceeds.
        words: their BM25 scores, ``(r,)``.
    """
    fused = fuse(_by_score(scores, words), highest(words, DEPTH))
    found: Floats = scores.copy()
    found[fused] = np.arange(len(fused), 0, -1) + 1.0
    found[scores == 1] += len(fused) + 1.0
    return found


def _by_score(scores: Floats, words: Floats) -> NDArray[np.int64]:
    """The first rows by score, the highest first, of equal ones by words."""
    rows = np.arange(len(scores))
    if len(rows) > DEPTH:
        rows = np.flatnonzero(scores >= np.partition(scores, -DEPTH)[-DEPTH])
    return rows[np.lexsort((-words[rows], -scores[rows]))][:DEPTH]


def ranks(values: Floats) -> NDArray[np.int64]:
    """The rank of every value, the highest is 1; of equal ones the first comes first."""
    found = np.empty(len(values), dtype=np.int64)
    found[np.argsort(-values, kind="stable")] = np.arange(1, len(values) + 1)
    return found
