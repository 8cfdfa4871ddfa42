"""What the current model ranks wrongly: triplets and hard negatives for the next round of fine-tuning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DEPTH = 100
HARD_NEGATIVE_RANKS = 15
EASY_POSITIVE_RANKS = 5


@dataclass(frozen=True)
class Judged:
    """A query's top documents by their rank and relevance; positions in the corpus, best first."""

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


def judge(ranked: NDArray[np.int64], relevant: set[int]) -> Judged:
    """Sort one query's ranking by the reference rules.

    Over the first 100 ranks: hard negatives are non-relevant in ranks 1-15, easy ones in 16-100; easy positives are
    relevant in ranks 1-5, hard ones in 6-100.
    """
    top = [int(document) for document in ranked[:DEPTH]]
    return Judged(
        easy_positives=[document for document in top[:EASY_POSITIVE_RANKS] if document in relevant],
        hard_positives=[document for document in top[EASY_POSITIVE_RANKS:] if document in relevant],
        hard_negatives=[document for document in top[:HARD_NEGATIVE_RANKS] if document not in relevant],
        easy_negatives=[document for document in top[HARD_NEGATIVE_RANKS:] if document not in relevant],
    )


def reference_triplets(
    ranked: NDArray[np.int64], relevant: Sequence[set[int]], easy_per_hard: int, seed: int
) -> list[Triplet]:
    """Hard and easy triplets of all queries by the reference rules.

    A hard triplet is (query, first hard positive, first hard negative); an easy one is (query, first easy positive,
    first easy negative, else first hard one). Of the easy ones a random ``easy_per_hard`` times the number of hard ones
    is kept.
    """
    hard, easy = [], []
    for query, (row, wanted) in enumerate(zip(ranked, relevant, strict=True)):
        judged = judge(row, wanted)
        if judged.hard_positives and judged.hard_negatives:
            hard.append(Triplet(query, judged.hard_positives[0], judged.hard_negatives[0]))
        negatives = judged.easy_negatives or judged.hard_negatives
        if judged.easy_positives and negatives:
            easy.append(Triplet(query, judged.easy_positives[0], negatives[0]))
    kept = np.random.default_rng(seed).permutation(len(easy))[: easy_per_hard * len(hard)]
    return hard + [easy[index] for index in np.sort(kept)]


def hard_negatives(ranked: NDArray[np.int64], relevant: Sequence[set[int]], corpus: Sequence[str]) -> list[list[int]]:
    """The hard negatives of every query, best first; a copy of a relevant text is no negative."""
    found = []
    for row, wanted in zip(ranked, relevant, strict=True):
        right = {corpus[document] for document in wanted}
        found.append([document for document in judge(row, wanted).hard_negatives if corpus[document] not in right])
    return found
