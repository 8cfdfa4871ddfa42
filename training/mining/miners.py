"""Miners: they keep what was mined from iteration to iteration, and make training examples of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from training.errors import TrainingError
from training.lazy_texts.sequences import Chosen
from training.mining.batching import Example, fill_batches
from training.mining.examples import Batch, Examples, batches_of
from training.mining.hard_negatives import Triplet, hard_negatives, reference_triplets
from training.retrieval.ranking import NOTHING, Ranked
from training.retrieval.texts import Texts
from training.runs.progress import track

log = logging.getLogger(__name__)

LEFT_OUT = 0.1
"""Fraction of an iteration's examples that may be left out without a word."""
_PASS = 1000
"""Added to the seed for each further pass."""


class Miner(Protocol):
    """Accumulates what is mined from iteration to iteration."""

    def mine(self, ranked: Ranked, seed: int) -> int:
        """Mine from the current ranking of the training queries; returns how much has been mined so far."""

    def examples(self, seed: int) -> Examples:
        """The examples of one iteration."""


MakeMiner = Callable[[Texts], Miner]
"""A new miner for some texts."""


@dataclass
class TripletMiner:
    """The triplets of all iterations, by the reference rules."""

    texts: Texts
    easy_per_hard: int
    triplets: list[Triplet] = field(default_factory=list)

    def mine(self, ranked: Ranked, seed: int) -> int:
        """Add the triplets of this ranking; returns the number of triplets.

        Earlier triplets whose negative has been judged relevant since are removed.
        """
        relevant, negatives = self.texts.relevant["train"], self.texts.negatives["train"]
        self.triplets = [each for each in self.triplets if each.negative not in relevant[each.query]]
        positions = self._without_queries(ranked.positions)
        self.triplets += reference_triplets(positions, relevant, negatives, self.easy_per_hard, seed)
        return len(self.triplets)

    def _without_queries(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """The ranking without near-duplicates of the queries, unless they are relevant."""
        groups, near = self.texts.document_groups, self.texts.query_groups
        found: NDArray[np.int64] = positions.copy()
        for query in track(np.flatnonzero(near >= 0).tolist(), "leaving out near-duplicates of queries"):
            row, relevant = found[query], sorted(self.texts.relevant["train"][query])
            row[(groups[row] == near[query]) & ~np.isin(row, relevant)] = NOTHING
        return found

    def examples(self, seed: int) -> Examples:
        """All triplets so far."""
        queries, documents = self.texts.queries["train"], self.texts.documents
        return Examples(
            {
                "anchor": [queries[triplet.query] for triplet in self.triplets],
                "positive": Chosen(documents, (triplet.positive for triplet in self.triplets)),
                "negative": Chosen(documents, (triplet.negative for triplet in self.triplets)),
            }
        )


@dataclass
class NegativeMiner:
    """The hard negatives of every training query, the newest first; documents that were judged irrelevant go first.

    Attributes:
        texts: prepared data.
        passes: over the queries in an iteration.
        batch_size: examples per step.
        negatives: per example.
        random_negative_ratio: fraction of the negatives that are drawn from all wrong documents instead of mined.
        max_negative_ratio: see :func:`training.mining.hard_negatives.hard_negatives`.
    """

    texts: Texts
    passes: int
    batch_size: int
    negatives: int
    random_negative_ratio: float
    max_negative_ratio: float
    known: list[list[int]] = field(default_factory=list)
    _told: bool = False

    def mine(self, ranked: Ranked, seed: int) -> int:
        """Add the hard negatives of this ranking; returns the number of distinct ones.

        Earlier ones that have been judged relevant since are removed.
        """
        groups, right = self.texts.document_groups, self.texts.answer_groups()
        relevant = self.texts.relevant["train"]
        found = hard_negatives(ranked, relevant, groups, self.max_negative_ratio, self.texts.wrong, right)
        before = [
            [document for document in documents if groups[document] not in answers]
            for documents, answers in zip(self.known or [[] for _ in found], right, strict=True)
        ]
        self.known = [list(dict.fromkeys(new + old)) for new, old in zip(found, before, strict=True)]
        return sum(map(len, self.known))

    def examples(self, seed: int) -> Examples:
        """Passes over the queries in random order, each time with a random relevant document and other negatives.

        Queries without a known relevant document are left out, and those that fit into no batch; see
        :func:`training.mining.batching.fill_batches`.
        """
        draw = np.random.default_rng(seed)
        relevant, groups = self.texts.relevant["train"], self.texts.document_groups.tolist()
        answers = self.texts.answer_groups()
        batches = []
        for _ in range(self.passes):
            order = [query for query in draw.permutation(len(relevant)) if relevant[query]]
            drawn = [self._draw(int(query), answers[query], draw) for query in track(order, "drawing examples")]
            batches += fill_batches(drawn, answers, groups, self.batch_size)
        self._warn(self.passes * sum(map(bool, relevant)), [len(batch) for batch in batches])
        queries, documents = self.texts.queries["train"], self.texts.documents
        chosen = [example for batch in batches for example in batch]
        columns: dict[str, Sequence[str]] = {"anchor": [queries[example.query] for example in chosen]}
        for place, name in enumerate(("positive", *(f"negative_{each + 1}" for each in range(self.negatives)))):
            columns[name] = Chosen(documents, (example.documents[place] for example in chosen))
        return Examples(columns, [len(batch) for batch in batches])

    def _warn(self, drawn: int, batches: Sequence[int]) -> None:
        """Say once if many of the examples that were drawn are in no batch."""
        left = drawn - sum(batches)
        if left > LEFT_OUT * drawn and not self._told:
            self._told = True
            log.warning(
                "%d of the %d examples of an iteration are left out: too many queries have the same answers, which "
                "must not meet in a batch: with %d examples a batch, hardly any would be",
                left,
                drawn,
                sum(batches) // len(batches),
            )

    def _draw(self, query: int, answers: set[int], draw: np.random.Generator) -> Example:
        """A query with any document that answers it and some that do not."""
        relevant = sorted(self.texts.relevant["train"][query])
        positive = relevant[draw.integers(len(relevant))]
        groups = self.texts.document_groups
        judged = [each for each in self.texts.negatives["train"][query] if groups[each] not in answers]
        mined = draw.permutation([each for each in self.known[query] if each not in judged])
        chosen = [*draw.permutation(judged), *mined][: draw.binomial(self.negatives, 1 - self.random_negative_ratio)]
        hard = [int(document) for document in chosen]
        return Example(query, (positive, *hard, *self._easy(query, hard, answers, draw)))

    def _easy(self, query: int, hard: Sequence[int], answers: set[int], draw: np.random.Generator) -> Sequence[int]:
        """Any wrong documents besides the hard ones; none comes again, near-duplicates included, before all have."""
        count, groups = self.negatives - len(hard), self.texts.document_groups
        wrong = int(groups.max()) + 1 - len(answers)
        if count and not wrong:
            question = self.texts.queries["train"][query]
            raise TrainingError(f"every text of the corpus answers {question!r}: no negative is left to train on")
        chosen: list[int] = []
        taken = {int(groups[document]) for document in hard}
        while len(chosen) < count:
            if len(taken) == wrong:  # all of them have come: they begin again
                taken = set()
            other = int(draw.integers(len(groups)))
            if groups[other] not in answers and groups[other] not in taken:
                chosen.append(other)
                taken.add(int(groups[other]))
        return chosen


@dataclass
class WholeCorpus:
    """Mines nothing, because every document of the corpus is a negative."""

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


def endless(first: Examples, miner: Miner, seed: int) -> Iterator[Batch]:
    """The batches of an iteration's examples, then those of further passes."""
    yield from batches_of(first)
    for number in count(1):
        yield from batches_of(miner.examples(seed + _PASS * number))
