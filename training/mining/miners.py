"""What mining has found so far, and the training examples made of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Protocol

import numpy as np

from training.errors import TrainingError
from training.mining.batching import Example, lay_out
from training.mining.examples import Examples, Rows, split
from training.mining.hard_negatives import Triplet, hard_negatives, reference_triplets
from training.retrieval.ranking import Ranked
from training.retrieval.texts import Texts

_PASS = 1000
"""What a further pass adds to the seed."""


class Miner(Protocol):
    """Accumulates what is mined from iteration to iteration."""

    def mine(self, ranked: Ranked, seed: int) -> int:
        """Learn from the current ranking of the training queries; returns how much is known now."""

    def examples(self, seed: int) -> Examples:
        """The examples of one iteration."""


MakeMiner = Callable[[Texts], Miner]
"""A new miner for some texts."""


@dataclass
class TripletMiner:
    """Every triplet of every iteration, by the reference rules."""

    texts: Texts
    easy_per_hard: int
    triplets: list[Triplet] = field(default_factory=list)

    def mine(self, ranked: Ranked, seed: int) -> int:
        """Add the triplets of this ranking; returns the number of triplets.

        Those are left out whose negative has been judged to be relevant since.
        """
        relevant, negatives = self.texts.relevant["train"], self.texts.negatives["train"]
        self.triplets = [each for each in self.triplets if each.negative not in relevant[each.query]]
        self.triplets += reference_triplets(ranked.positions, relevant, negatives, self.easy_per_hard, seed)
        return len(self.triplets)

    def examples(self, seed: int) -> Examples:
        """All triplets so far."""
        queries, documents = self.texts.queries["train"], self.texts.documents
        return Examples(
            {
                "anchor": [queries[triplet.query] for triplet in self.triplets],
                "positive": [documents[triplet.positive] for triplet in self.triplets],
                "negative": [documents[triplet.negative] for triplet in self.triplets],
            }
        )


@dataclass
class NegativeMiner:
    """The hard negatives of every training query, the newest first; those that were judged so go before all others.

    Attributes:
        texts: prepared data.
        passes: how often an iteration asks every query.
        batch_size: examples a step.
        negatives: of an example.
        random_negative_ratio: share of the negatives that are any wrong document instead of a mined one.
        max_negative_ratio: see :func:`training.mining.hard_negatives.hard_negatives`.
    """

    texts: Texts
    passes: int
    batch_size: int
    negatives: int
    random_negative_ratio: float
    max_negative_ratio: float
    known: list[list[int]] = field(default_factory=list)

    def mine(self, ranked: Ranked, seed: int) -> int:
        """Add the hard negatives of this ranking; returns the number of different ones.

        Those are left out that have been judged to be relevant since.
        """
        relevant, groups = self.texts.relevant["train"], self.texts.document_groups
        found = hard_negatives(ranked, relevant, groups, self.max_negative_ratio, self.texts.wrong)
        right = [set(groups[sorted(wanted)].tolist()) for wanted in relevant]
        before = [
            [document for document in documents if groups[document] not in answers]
            for documents, answers in zip(self.known or [[] for _ in found], right, strict=True)
        ]
        self.known = [list(dict.fromkeys(new + old)) for new, old in zip(found, before, strict=True)]
        return sum(map(len, self.known))

    def examples(self, seed: int) -> Examples:
        """Passes over the queries in random order, each time with any chunk of the answer and other negatives.

        Queries of which no answer is known wait for one.
        """
        draw = np.random.default_rng(seed)
        relevant, groups = self.texts.relevant["train"], self.texts.document_groups.tolist()
        answers = [{groups[document] for document in wanted} for wanted in relevant]
        laid_out = []
        for _ in range(self.passes):
            order = [query for query in draw.permutation(len(relevant)) if relevant[query]]
            drawn = [self._draw(int(query), answers[query], draw) for query in order]
            laid_out += lay_out(drawn, answers, groups, self.batch_size)
        queries, documents = self.texts.queries["train"], self.texts.documents
        columns: dict[str, list[str]] = {"anchor": [], "positive": []}
        columns |= {f"negative_{number}": [] for number in range(1, self.negatives + 1)}
        for example in (example for batch in laid_out for example in batch):
            row = [queries[example.query], *(documents[position] for position in example.documents)]
            for column, text in zip(columns.values(), row, strict=True):
                column.append(text)
        return Examples(columns, [len(batch) for batch in laid_out])

    def _draw(self, query: int, answers: set[int], draw: np.random.Generator) -> Example:
        """A query with any document that answers it and some that do not."""
        relevant = sorted(self.texts.relevant["train"][query])
        positive = relevant[draw.integers(len(relevant))]
        groups = self.texts.document_groups
        judged = [each for each in self.texts.negatives["train"][query] if groups[each] not in answers]
        mined = draw.permutation([each for each in self.known[query] if each not in judged])
        hard = [*draw.permutation(judged), *mined][: draw.binomial(self.negatives, 1 - self.random_negative_ratio)]
        return Example(
            query, (positive, *map(int, hard), *self._easy(query, self.negatives - len(hard), answers, draw))
        )

    def _easy(self, query: int, count: int, answers: set[int], draw: np.random.Generator) -> Sequence[int]:
        """Any wrong documents."""
        groups = self.texts.document_groups
        if count and len(answers) > groups.max():
            question = self.texts.queries["train"][query]
            raise TrainingError(f"every text of the corpus answers {question!r}: nothing can be learnt from it")
        chosen: list[int] = []
        while len(chosen) < count:
            other = int(draw.integers(len(groups)))
            if groups[other] not in answers:
                chosen.append(other)
        return chosen


@dataclass
class WholeCorpus:
    """Nothing is mined where every document of the corpus counts as a negative."""

    texts: Texts
    passes: int

    def mine(self, ranked: Ranked, seed: int) -> int:
        """Returns the number of queries."""
        return len(self.texts.queries["train"])

    def examples(self, seed: int) -> Examples:
        """Passes over the queries in random order."""
        draw = np.random.default_rng(seed)
        queries, relevant = self.texts.queries["train"], self.texts.relevant["train"]
        drawn = [int(query) for _ in range(self.passes) for query in draw.permutation(len(queries))]
        order = [query for query in drawn if relevant[query]]
        return Examples({"anchor": [queries[query] for query in order], "label": order})


def endless(first: Examples, miner: Miner, seed: int) -> Iterator[Rows]:
    """The batches of an iteration's examples, and of others when these are used up."""
    yield from split(first)
    for number in count(1):
        yield from split(miner.examples(seed + _PASS * number))
