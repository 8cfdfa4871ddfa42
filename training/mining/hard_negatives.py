"""Triplets and hard negatives: what the current model ranks wrongly, for the next round of fine-tuning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress, repeat

import numpy as np
from numpy.typing import NDArray

from training.retrieval.ranking import DEPTH, NOTHING, Ranked
from training.runs.progress import track

HARD_NEGATIVE_RANKS = 15
"""Ranks, from the first, whose irrelevant documents are hard negatives."""
EASY_POSITIVE_RANKS = 5
"""Ranks, from the first, whose relevant documents are easy positives."""


@dataclass(frozen=True)
class RankBuckets:
    """A query's top documents by rank and relevance: positions in the corpus, best first."""

    easy_positives: list[int]
    hard_positives: list[int]
    hard_negatives: list[int]
    easy_negatives: list[int]


@dataclass(frozen=True)
class Triplet:
    """Positions of a query in its list, and of a relevant and a non-relevant document in the corpus."""

    query: int
    positive: int
    negative: int


def bucket_by_rank(ranked: NDArray[np.int64], relevant: set[int], negatives: Sequence[int] = ()) -> RankBuckets:
    """Sort one query's ranking into buckets by the reference rules.

    Over the first 100 ranks: hard negatives are irrelevant documents in ranks 1-15, easy ones in 16-100; easy positives
    are relevant documents in ranks 1-5, hard ones in 6-100. Documents that were judged irrelevant come first among the
    hard negatives, in order of rank, wherever they rank.

    Args:
        ranked: document positions, best first, ``(n,)``.
        relevant: positions of the relevant documents.
        negatives: positions of documents that were judged irrelevant.
    """
    top = [int(document) for document in ranked[:DEPTH] if document != NOTHING]
    rank = {document: index for index, document in enumerate(top)}
    judged = sorted(set(negatives) - relevant, key=lambda document: (rank.get(document, DEPTH), document))
    others = [document not in relevant and document not in judged for document in top]
    return RankBuckets(
        easy_positives=[document for document in top[:EASY_POSITIVE_RANKS] if document in relevant],
        hard_positives=[document for document in top[EASY_POSITIVE_RANKS:] if document in relevant],
        hard_negatives=[*judged, *compress(top[:HARD_NEGATIVE_RANKS], others)],
        easy_negatives=list(compress(top[HARD_NEGATIVE_RANKS:], others[HARD_NEGATIVE_RANKS:])),
    )


def reference_triplets(
    ranked: NDArray[np.int64],
    relevant: Sequence[set[int]],
    negatives: Sequence[Sequence[int]],
    easy_per_hard: int,
    seed: int,
) -> list[Triplet]:
    """Hard and easy triplets of all queries by the reference rules.

    A hard triplet is (query, first hard positive, first hard negative); an easy one is (query, first easy positive,
    first easy negative, or else first hard one).

    Args:
        ranked: document positions of every query, best first, ``(q, n)``.
        relevant: the relevant positions of every query.
        negatives: the positions that were judged irrelevant for every query; see :func:`bucket_by_rank`.
        easy_per_hard: easy triplets to keep, at random, per hard one.
        seed: of the random choice.
    """
    hard, easy = [], []
    rows = track(zip(ranked, relevant, negatives, strict=True), "selecting triplets", len(relevant))
    for query, (row, wanted, wrong) in enumerate(rows):
        found = bucket_by_rank(row, wanted, wrong)
        if found.hard_positives and found.hard_negatives:
            hard.append(Triplet(query, found.hard_positives[0], found.hard_negatives[0]))
        easy_or_hard = found.easy_negatives or found.hard_negatives
        if found.easy_positives and easy_or_hard:
            easy.append(Triplet(query, found.easy_positives[0], easy_or_hard[0]))
    kept = np.random.default_rng(seed).permutation(len(easy))[: easy_per_hard * len(hard)]
    return hard + [easy[index] for index in np.sort(kept)]


def hard_negatives(
    ranked: Ranked,
    relevant: Sequence[set[int]],
    groups: NDArray[np.int64],
    max_negative_ratio: float,
    wrong: Sequence[set[int]] | None = None,
    answers: Sequence[set[int]] | None = None,
) -> list[list[int]]:
    """The hard negatives of every query, best first: 15 at most, of the first 100 documents.

    A near-duplicate of a relevant document is discarded. So is a document that scores more than ``max_negative_ratio``
    times the best relevant document: an unlabelled document with nearly that score is often relevant (Moreira et al.,
    2024, "NV-Retriever: Improving text embedding models with effective hard-negative mining", 3.2). If that score is
    negative, the limit is as far below it as it would be below a positive one. A document that was judged irrelevant is
    a negative whatever it scores.

    Args:
        ranked: the first documents of every query, and the score of its best relevant document.
        relevant: the relevant positions of every query.
        groups: for each document the group of its near-duplicates.
        max_negative_ratio: fraction of the best relevant document's score.
        wrong: the positions that were judged irrelevant for every query; by default none.
        answers: for every query further groups of documents that are no negatives; by default none.
    """
    found = []
    rows = zip(
        ranked.positions[:, :DEPTH],
        ranked.scores[:, :DEPTH],
        ranked.best_relevant,
        relevant,
        wrong or repeat(set[int](), len(relevant)),
        answers or repeat(set[int](), len(relevant)),
        strict=True,
    )
    for positions, scores, best, wanted, judged, further in track(rows, "selecting negatives", len(relevant)):
        right = {*groups[sorted(wanted)].tolist(), *further}
        sure = (scores <= _limit(best, max_negative_ratio)) | np.isin(positions, sorted(judged))
        sure &= (positions != NOTHING) & ~np.isin(groups[positions], sorted(right))
        found.append([int(document) for document in positions[sure][:HARD_NEGATIVE_RANKS]])
    return found


def _limit(best: float, ratio: float) -> float:
    """The highest score of a negative: never above that of the best relevant document, whatever its sign."""
    return best - (1 - ratio) * abs(best) if np.isfinite(best) else -np.inf
