"""Other question-answer data mixed in while training, so that their style of questions is not unlearnt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle
from typing import NamedTuple

from training.mining.examples import Examples, Rows, in_a_row, split
from training.mining.joint_miner import JointMiner
from training.mining.miners import MakeMiner, Miner, endless
from training.prepared.format import PreparedData
from training.retrieval.states import State
from training.retrieval.texts import Texts


class Source(NamedTuple):
    """One set of training queries, where its embeddings are kept, and what has been mined for it."""

    name: str
    texts: Texts
    folder: str
    miner: Miner


class Mixture:
    """Mines for the domain's own queries and for those that are mixed in, and lays the batches of all in one row.

    A batch holds queries of one set only: others would be told apart by their field alone.
    """

    def __init__(
        self,
        make_miner: MakeMiner,
        texts: Texts,
        mixed: Mapping[str, PreparedData],
        mix_ratio: float,
        batch_shares: Mapping[str, float],
    ) -> None:
        """
        Args:
            make_miner: a miner for each set.
            texts: the domain's own.
            mixed: other sets by name.
            mix_ratio: fraction of all batches that they take.
            batch_shares: of the domain's own batches, the fraction of each set, where several are joined.
        """
        self._own = JointMiner(make_miner, texts, batch_shares) if texts.parts else make_miner(texts)
        self._mix_ratio = mix_ratio
        self._others = [_source(name, data, make_miner) for name, data in mixed.items()]

    def mine(self, state: State, seed: int) -> int:
        """Learn from how a state ranks the training queries; returns how much is known of the domain's own."""
        for name, texts, folder, miner in self._others:
            miner.mine(state.over(name, texts, folder).ranked_with_scores("train"), seed)
        return self._own.mine(state.ranked_with_scores("train"), seed)

    def examples(self, seed: int) -> Examples:
        """The examples of one iteration."""
        others = [endless(other.miner.examples(seed), other.miner, seed) for other in self._others]
        return interleave(self._own.examples(seed), others, self._mix_ratio)


def _source(name: str, data: PreparedData, make_miner: MakeMiner) -> Source:
    texts = Texts(data)
    return Source(name, texts, data.fingerprint, make_miner(texts))


def interleave(own: Examples, others: Sequence[Iterator[Rows]], mix_ratio: float) -> Examples:
    """The own batches in order, with batches of the others in turn between them, evenly.

    Args:
        own: examples laid out in batches.
        others: endless batches of each other set.
        mix_ratio: fraction of the others in all batches; below 1.
    """
    if not others or own.batches is None:
        return own
    mixed = round(len(own.batches) * mix_ratio / (1 - mix_ratio))
    turns = cycle(others)
    laid: list[Rows] = []
    for number, batch in enumerate(split(own)):
        laid.append(batch)
        due = (number + 1) * mixed // len(own.batches) - number * mixed // len(own.batches)
        laid += [next(next(turns)) for _ in range(due)]
    return in_a_row(laid)
