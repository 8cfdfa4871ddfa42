"""Mines for several sets that train one model: each over its own documents, and with its fraction of the batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from training.mining.examples import Examples, concatenate
from training.mining.miners import MakeMiner, Miner, endless
from training.retrieval.ranking import NOTHING, Ranked
from training.retrieval.texts import Texts


class JointMiner:
    """Mines for every set over its own documents, and gives each set its fraction of the batches.

    An iteration has as many batches as the sets on their own would have together: a set with too few for its fraction
    goes on with further passes, and one with too many is cut off.
    """

    def __init__(self, make_miner: MakeMiner, texts: Texts, batch_shares: Mapping[str, float]) -> None:
        """
        Args:
            make_miner: a miner for each set.
            texts: of the joined sets.
            batch_shares: fraction of the batches by set; their sum is 1.
        """
        self._texts = texts
        self._miners: dict[str, Miner] = {name: make_miner(part) for name, part in texts.parts.items()}
        self._batch_shares = batch_shares

    def mine(self, ranked: Ranked, seed: int) -> int:
        """Mine from the current ranking; returns how much has been mined for all sets so far."""
        spans = self._texts.spans("train")
        return sum(
            miner.mine(_within(ranked, *span), seed) for miner, span in zip(self._miners.values(), spans, strict=True)
        )

    def examples(self, seed: int) -> Examples:
        """Batches of all sets in turn, each of one set only."""
        first = [(miner.examples(seed), miner) for miner in self._miners.values()]
        total = sum(len(examples.batches or ()) for examples, _ in first)
        batches = [endless(examples, miner, seed) for examples, miner in first]
        order = take_turns([self._batch_shares[name] for name in self._miners], total)
        return concatenate(next(batches[turn]) for turn in order)


def take_turns(fractions: Sequence[float], count: int) -> list[int]:
    """Who has each of ``count`` turns, so that at any time everyone is less than a turn away from their fraction.

    Of those that may have the next turn, the one with the earliest due date has it (Tijdeman, 1980, "The chairman
    assignment problem").

    Args:
        fractions: of the turns; their sum is 1.
        count: of turns.
    """
    given = np.zeros(len(fractions), dtype=np.int64)
    order = []
    for number in range(count):
        open_ = [who for who, fraction in enumerate(fractions) if given[who] < fraction * (number + 1) - 1e-9]
        due = [(given[who] + 1) / fractions[who] for who in open_]
        who = open_[int(np.argmin(due))]
        given[who] += 1
        order.append(who)
    return order


def _within(ranked: Ranked, queries: slice, documents: slice) -> Ranked:
    """A set's rows, with its documents counted from 0."""
    depth = min(ranked.positions.shape[1], documents.stop - documents.start)
    positions = ranked.positions[queries, :depth]
    return Ranked(
        np.where(positions == NOTHING, NOTHING, positions - documents.start),
        ranked.scores[queries, :depth],
        ranked.best_relevant[queries],
    )
