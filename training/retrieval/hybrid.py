"""Ranks queries by BM25 and by fusion with a model's ranking, each set over its own documents, and measures that."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from registry.texts.bm25 import BLOCK, rankings
from registry.texts.fusion import fuse
from training.retrieval.metrics import query_metrics
from training.retrieval.ranking import DEPTH, NOTHING
from training.retrieval.significance import compare_metrics
from training.retrieval.states import State
from training.retrieval.texts import Texts
from training.runs.progress import bar

Indices = NDArray[np.int64]


def ranked_by_bm25(texts: Texts, split: str) -> Indices:
    """The first documents of every query of a split by BM25, ``(q, 100)``.

    Rows end in ``NOTHING`` where no further document has a word of the query.
    """
    found = np.full((len(texts.queries[split]), DEPTH), NOTHING, dtype=np.int64)
    for queries, documents in texts.spans(split):
        own = [[position - documents.start for position in each] for each in texts.own[split][queries]]
        blocks = -(-(documents.stop - documents.start) // BLOCK)
        with bar("ranking by BM25", blocks * len(own)) as advance:
            best = rankings(texts.documents[documents], texts.queries[split][queries], DEPTH, own, advance)
        for row, positions in enumerate(best, start=queries.start):
            found[row, : len(positions)] = positions + documents.start
    return found


def fused_with(ranking: Indices, other: Indices) -> Indices:
    """The first documents of every query by fusion of two rankings, ``(q, 100)``; see :func:`fuse`."""
    fused = np.full((len(ranking), DEPTH), NOTHING, dtype=np.int64)
    for row, (one, two) in enumerate(zip(ranking, other, strict=True)):
        best = fuse(one[one != NOTHING], two[two != NOTHING])[:DEPTH]
        fused[row, : len(best)] = best
    return fused


def compare_hybrid(state: State, seed: int) -> dict[str, dict[str, float]]:
    """Fusion of a state's ranking with BM25 against the state alone, on the dev split."""
    texts, alone = state.texts, state.ranked("dev")
    fused = query_metrics(fused_with(alone, ranked_by_bm25(texts, "dev")), texts.relevant["dev"])
    return compare_metrics(state.query_metrics("dev"), fused, seed, [queries for queries, _ in texts.spans("dev")])
