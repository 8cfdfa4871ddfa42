"""Other question-answer data mixed in while training, so that their style of questions is not unlearnt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle
from typing import NamedTuple

from training.mining.examples import Examples, Rows, in_a_row, split
from training.mining.miners import Miner, endless
from training.prepared.format import PreparedData
from training.prepared.joined import own_miner
from training.recipes.recipes import Contrastive, Recipe
from training.retrieval.states import State, Texts


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
        self, recipe: Recipe, texts: Texts, mixed: Mapping[str, PreparedData], shares: Mapping[str, float]
    ) -> None:
        self._own = own_miner(recipe, texts, shares)
        self._share = recipe.mix_ratio if isinstance(recipe, Contrastive) else 0.0
        self._others = [_source(name, data, recipe) for name, data in mixed.items()]

    def mine(self, state: State, seed: int) -> int:
        """Learn from how a state ranks the training queries; returns how much is known of the domain's own."""
        for name, texts, folder, miner in self._others:
            miner.mine(state.over(name, texts, folder).ranked_with_scores("train"), seed)
        return self._own.mine(state.ranked_with_scores("train"), seed)

    def examples(self, seed: int) -> Examples:
        """The examples of one iteration."""
        others = [endless(other.miner.examples(seed), other.miner, seed) for other in self._others]
        return interleave(self._own.examples(seed), others, self._share)


def _source(name: str, data: PreparedData, recipe: Recipe) -> Source:
    texts = Texts(data)
    return Source(name, texts, data.fingerprint, recipe.miner(texts))


def interleave(own: Examples, others: Sequence[Iterator[Rows]], share: float) -> Examples:
    """The own batches in order, with batches of the others in turn between them, evenly.

    Args:
        own: examples laid out in batches.
        others: endless batches of each other set.
        share: of the others in all batches; below 1.
    """
    if not others or own.batches is None:
        return own
    mixed = round(len(own.batches) * share / (1 - share))
    turns = cycle(others)
    laid: list[Rows] = []
    for number, batch in enumerate(split(own)):
        laid.append(batch)
        due = (number + 1) * mixed // len(own.batches) - number * mixed // len(own.batches)
        laid += [next(next(turns)) for _ in range(due)]
    return in_a_row(laid)
