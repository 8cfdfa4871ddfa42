"""What mining has found so far, and the training examples made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from training.errors import TrainingError
from training.mining import Triplet, hard_negatives, reference_triplets
from training.states import Texts

Columns = dict[str, list[str]]
"""Training examples column by column: anchor, positive, and one or more negatives."""


class Miner(Protocol):
    """Accumulates what is mined from iteration to iteration."""

    def mine(self, ranked: NDArray[np.int64], seed: int) -> int:
        """Learn from the current ranking of the training queries; returns how much is known now."""

    def examples(self, seed: int) -> Columns:
        """The examples of one iteration."""


@dataclass
class TripletMiner:
    """Every triplet of every iteration, by the reference rules."""

    texts: Texts
    easy_per_hard: int
    triplets: list[Triplet] = field(default_factory=list)

    def mine(self, ranked: NDArray[np.int64], seed: int) -> int:
        """Add the triplets of this ranking; returns the number of triplets."""
        self.triplets += reference_triplets(ranked, self.texts.relevant["train"], self.easy_per_hard, seed)
        return len(self.triplets)

    def examples(self, seed: int) -> Columns:
        """All triplets so far."""
        queries, documents = self.texts.queries["train"], self.texts.documents
        return {
            "anchor": [queries[triplet.query] for triplet in self.triplets],
            "positive": [documents[triplet.positive] for triplet in self.triplets],
            "negative": [documents[triplet.negative] for triplet in self.triplets],
        }


@dataclass
class NegativeMiner:
    """The hard negatives of every training query, the newest first."""

    texts: Texts
    passes: int
    negatives: int
    known: list[list[int]] = field(default_factory=list)

    def mine(self, ranked: NDArray[np.int64], seed: int) -> int:
        """Add the hard negatives of this ranking; returns the number of different ones."""
        found = hard_negatives(ranked, self.texts.relevant["train"], self.texts.documents)
        before = self.known or [[] for _ in found]
        self.known = [list(dict.fromkeys(new + old)) for new, old in zip(found, before, strict=True)]
        return sum(map(len, self.known))

    def examples(self, seed: int) -> Columns:
        """Passes over the queries in random order, each time with any chunk of the answer and other negatives."""
        draw = np.random.default_rng(seed)
        queries, documents = self.texts.queries["train"], self.texts.documents
        columns: Columns = {"anchor": [], "positive": []}
        columns |= {f"negative_{number}": [] for number in range(1, self.negatives + 1)}
        for _ in range(self.passes):
            for query in draw.permutation(len(queries)):
                relevant = sorted(self.texts.relevant["train"][query])
                positive = relevant[draw.integers(len(relevant))]
                row = [queries[query], documents[positive]]
                row += [documents[negative] for negative in self._draw_negatives(query, relevant, draw)]
                for column, text in zip(columns.values(), row, strict=True):
                    column.append(text)
        return columns

    def _draw_negatives(self, query: int, relevant: Sequence[int], draw: np.random.Generator) -> list[int]:
        """Mined negatives, filled up with random documents where there are too few."""
        known = self.known[query]
        chosen = [known[index] for index in draw.permutation(len(known))[: self.negatives]]
        right = {self.texts.documents[position] for position in relevant}
        if len(chosen) < self.negatives and right.issuperset(self.texts.documents):
            question = self.texts.queries["train"][query]
            raise TrainingError(f"every text of the corpus answers {question!r}: nothing can be learnt from it")
        while len(chosen) < self.negatives:
            other = int(draw.integers(len(self.texts.documents)))
            if self.texts.documents[other] not in right:
                chosen.append(other)
        return chosen
