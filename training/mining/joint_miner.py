"""Mines for several sets that train one model: each over its own documents, and with its fraction of the batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from training.mining.examples import Examples, in_a_row
from training.mining.miners import MakeMiner, Miner, endless
from training.retrieval.ranking import Ranked
from training.retrieval.texts import Texts


class JointMiner:
    """Mines for every set over its own documents, and gives each its share of the batches.

    An iteration has as many batches as one of every set alone would have together: a set that has too few for its share
    is asked anew, and one that has too many is asked in part.
    """

    def __init__(self, make_miner: MakeMiner, texts: Texts, shares: Mapping[str, float]) -> None:
        self._texts = texts
        self._miners: dict[str, Miner] = {name: make_miner(part) for name, part in texts.parts.items()}
        self._shares = shares

    def mine(self, ranked: Ranked, seed: int) -> int:
        """Learn from the current ranking; returns how much is known of all sets."""
        spans = self._texts.spans("train")
        return sum(
            miner.mine(_within(ranked, *span), seed) for miner, span in zip(self._miners.values(), spans, strict=True)
        )

    def examples(self, seed: int) -> Examples:
        """Batches of all sets in turn, each of one set only."""
        own = [(miner.examples(seed), miner) for miner in self._miners.values()]
        total = sum(len(first.batches or ()) for first, _ in own)
        batches = [endless(first, miner, seed) for first, miner in own]
        order = turns([self._shares[name] for name in self._miners], total)
        return in_a_row(next(batches[turn]) for turn in order)


def turns(shares: Sequence[float], count: int) -> list[int]:
    """Whose turn it is, ``count`` times: after any number of turns nobody is a whole turn behind his share.

    Who has the earliest due date of those that may start has the turn (Tijdeman, 1980, "The chairman assignment
    problem", algorithm).
    """
    given = np.zeros(len(shares), dtype=np.int64)
    order = []
    for number in range(count):
        open_ = [who for who, share in enumerate(shares) if given[who] < share * (number + 1) - 1e-9]
        due = [(given[who] + 1) / shares[who] for who in open_]
        who = open_[int(np.argmin(due))]
        given[who] += 1
        order.append(who)
    return order


def _within(ranked: Ranked, queries: slice, documents: slice) -> Ranked:
    """A set's rows, with its documents counted from 0."""
    depth = min(ranked.positions.shape[1], documents.stop - documents.start)
    return Ranked(
        ranked.positions[queries, :depth] - documents.start,
        ranked.scores[queries, :depth],
        ranked.best_relevant[queries],
    )
