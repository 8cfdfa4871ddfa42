"""What no model can help: how good the ranking of each dev query can be, given its labels and the base model."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from registry.texts.words import near_key
from training.assessment.records import Ceiling, ErrorSplit
from training.retrieval.ranking import NOTHING
from training.retrieval.texts import Texts

Reciprocal = NDArray[np.float64]
"""For each dev query the reciprocal rank of its best relevant document, or an estimate of the highest one."""


@dataclass(frozen=True)
class Obstacles:
    """The highest reciprocal rank that each obstacle leaves to each dev query.

    Attributes:
        questions: 1, or less for questions that occur several times and want different answers.
        answers: 1, or less where equal documents are relevant only in part.
        unjudged: 1, or less where another document may be right and come first.
        reached: what the base model reaches, over all 100 ranks; 0 where no relevant document is found.
    """

    questions: Reciprocal
    answers: Reciprocal
    unjudged: Reciprocal
    reached: Reciprocal

    def errors(self) -> ErrorSplit:
        """The dev queries by where the base model ranks their best relevant document."""
        first, missed = int((self.reached == 1).sum()), int((self.reached == 0).sum())
        return ErrorSplit(first=first, within_reach=len(self.reached) - first - missed, out_of_reach=missed)

    def ceiling(self) -> Ceiling:
        """The mean of what is left of 1 by all obstacles, in this order; what the base model reaches is no less."""
        left, means = np.ones(len(self.reached)), [1.0]
        for limit in (self.questions, self.answers, self.unjudged, np.where(self.reached > 0, 1, 0)):
            left = np.maximum(np.minimum(left, limit), self.reached)
            means.append(float(left.mean()))
        lost = [before - after for before, after in pairwise(means)]
        return Ceiling(
            value=means[-1],
            contradictory_questions=lost[0],
            same_answer_twice=lost[1],
            unjudged_answers=lost[2],
            out_of_reach=lost[3],
        )


def find_obstacles(texts: Texts, base: NDArray[np.int64], bm25: NDArray[np.int64]) -> Obstacles:
    """The obstacles of the dev queries.

    Args:
        texts: the data.
        base: the base model's ranking of the dev queries, ``(q, k)``.
        bm25: that of BM25.
    """
    agreed = agree(texts, base, bm25)
    unjudged = np.ones(len(base))
    unjudged[list(agreed.unjudged)] = 1 - agreed.precision / 2
    return Obstacles(_by_questions(texts), _by_answers(texts), unjudged, _reached(base, texts.relevant["dev"]))


@dataclass(frozen=True)
class Agreement:
    """Where a model and BM25, two very different rankers, put the same document first.

    Attributes:
        precision: the fraction of these documents that the data call relevant. It estimates how probably one of the
            others is right, too.
        unjudged: the others, by dev query, but for those that were judged wrong.
    """

    precision: float
    unjudged: dict[int, int]


def agree(texts: Texts, base: NDArray[np.int64], bm25: NDArray[np.int64]) -> Agreement:
    """The agreement of both rankings of the dev queries, ``(q, k)`` each."""
    firsts = enumerate(zip(base[:, 0].tolist(), bm25[:, 0].tolist(), strict=True))
    agreed = {query: one for query, (one, other) in firsts if one == other != NOTHING}
    right = {query for query, one in agreed.items() if one in texts.relevant["dev"][query]}
    return Agreement(
        len(right) / len(agreed) if agreed else 0.0,
        {
            query: one
            for query, one in agreed.items()
            if query not in right and one not in texts.negatives["dev"][query]
        },
    )


def contradictions(texts: Texts) -> list[list[tuple[str, set[int]]]]:
    """Training and dev queries with their relevant documents, of equal questions of which two have none in common."""
    groups: dict[str, list[tuple[str, set[int]]]] = defaultdict(list)
    for split in ("train", "dev"):
        for query, right in zip(texts.queries[split], texts.relevant[split], strict=True):
            if right:
                groups[near_key(query)].append((query, right))
    return [
        group
        for group in groups.values()
        if any(one.isdisjoint(other) for place, (_, one) in enumerate(group) for _, other in group[:place])
    ]


def best_shared_ranking(relevant: Sequence[set[int]]) -> float:
    """Mean reciprocal rank of equal questions under the best single ranking, found greedily.

    Each rank goes to the document that answers most of the questions that have none yet.

    Args:
        relevant: the relevant documents of each question, at least one.
    """
    waiting, total, rank = list(relevant), 0.0, 0
    while waiting:
        rank += 1
        counts = Counter(document for right in waiting for document in right)
        document, answered = max(counts.items(), key=lambda item: (item[1], -item[0]))
        total += answered / rank
        waiting = [right for right in waiting if document not in right]
    return total / len(relevant)


def best_among_equals(equal: int, relevant: int) -> float:
    """Expected reciprocal rank of the first relevant one of equal documents, which come first in random order.

    Args:
        equal: number of documents with the same text.
        relevant: how many of them are relevant, at least 1.
    """
    expected, all_wrong = 0.0, 1.0
    for rank in range(1, equal - relevant + 2):
        right = relevant / (equal - rank + 1)
        expected += all_wrong * right / rank
        all_wrong *= 1 - right
    return expected


def _by_questions(texts: Texts) -> Reciprocal:
    best = {
        near_key(group[0][0]): best_shared_ranking([right for _, right in group]) for group in contradictions(texts)
    }
    return np.array([best.get(near_key(query), 1.0) for query in texts.queries["dev"]])


def _by_answers(texts: Texts) -> Reciprocal:
    wanted = set[int]().union(*texts.relevant["dev"])
    keys = {document: near_key(texts.documents[document]) for document in wanted}
    asked = set(keys.values())
    equal = Counter(key for text in texts.documents if (key := near_key(text)) in asked)
    limits = []
    for right in texts.relevant["dev"]:
        known = Counter(keys[document] for document in right)
        limits.append(max(best_among_equals(equal[key], number) for key, number in known.items()))
    return np.array(limits)


def _reached(ranking: NDArray[np.int64], relevant: Sequence[set[int]]) -> Reciprocal:
    hits = np.array([[document in right for document in row] for row, right in zip(ranking, relevant, strict=True)])
    return np.where(hits.any(axis=1), 1 / (hits.argmax(axis=1) + 1), 0.0)
