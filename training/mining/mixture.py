"""Mixes batches of other data into training, so that the model does not forget their style of questions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle
from typing import NamedTuple

from training.mining.examples import Batch, Examples, batches_of, concatenate
from training.mining.joint_miner import JointMiner
from training.mining.miners import MakeMiner, Miner, endless
from training.prepared.format import PreparedData
from training.retrieval.states import State
from training.retrieval.texts import Texts
from training.splitting.near_duplicates import Grouping


class Source(NamedTuple):
    """A set that is mixed in: its texts, the folder of its embeddings in that of a state, and its miner."""

    name: str
    texts: Texts
    folder: str
    miner: Miner


class Mixture:
    """Mines for the domain's own queries and for those that are mixed in, and interleaves their batches.

    A batch holds queries of one set only: in-batch negatives of another field would be too easy.
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
            batch_shares: fraction of the domain's own batches by set, if several are joined.
        """
        self._own = JointMiner(make_miner, texts, batch_shares) if texts.parts else make_miner(texts)
        self._mix_ratio = mix_ratio
        self._others = [_source(name, data, make_miner, texts.grouping) for name, data in mixed.items()]

    def mine(self, state: State, seed: int) -> int:
        """Mine from how a state ranks the training queries; returns how much has been mined for the domain's own."""
        for name, texts, folder, miner in self._others:
            miner.mine(state.over(name, texts, folder).ranked_with_scores("train"), seed)
        return self._own.mine(state.ranked_with_scores("train"), seed)

    def examples(self, seed: int) -> Examples:
        """The examples of one iteration."""
        others = [endless(other.miner.examples(seed), other.miner, seed) for other in self._others]
        return interleave(self._own.examples(seed), others, self._mix_ratio)


def _source(name: str, data: PreparedData, make_miner: MakeMiner, grouping: Grouping) -> Source:
    texts = Texts(data, grouping)
    return Source(name, texts, data.fingerprint, make_miner(texts))


def interleave(own: Examples, others: Sequence[Iterator[Batch]], mix_ratio: float) -> Examples:
    """The domain's own batches in order, with batches of the others evenly between them, in turn.

    Args:
        own: examples in batches.
        others: endless batches of each other set.
        mix_ratio: fraction of the others in all batches; below 1.
    """
    if not others or own.batches is None:
        return own
    mixed = round(len(own.batches) * mix_ratio / (1 - mix_ratio))
    turns = cycle(others)
    batches: list[Batch] = []
    for number, batch in enumerate(batches_of(own)):
        batches.append(batch)
        due = (number + 1) * mixed // len(own.batches) - number * mixed // len(own.batches)
        batches += [next(next(turns)) for _ in range(due)]
    return concatenate(batches)
