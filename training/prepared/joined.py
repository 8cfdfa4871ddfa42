"""Several prepared sets that train one model: each stays on its own in ranking, in measuring and in every batch."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from registry.records import check_test_set
from training.errors import TrainingError
from training.mining.examples import Examples, in_a_row
from training.mining.miners import Miner, endless
from training.prepared.format import SPLITS, PreparedData
from training.recipes.recipes import Recipe
from training.retrieval.ranking import Ranked
from training.retrieval.states import Texts


def join(sets: Mapping[str, PreparedData]) -> PreparedData:
    """Prepared sets as one, whose parts they are; of a single set, the set itself.

    Queries are ranked over the documents of their own set only: what answers them in another set was never judged.

    Args:
        sets: by name, none of them joined itself.

    Raises:
        InvalidNameError: the name of one of several sets is not allowed.
        TrainingError: there is no set.
    """
    if not sets:
        raise TrainingError("no prepared data to train on: at least one set is needed")
    if len(sets) == 1:
        return next(iter(sets.values()))
    for name in sets:
        check_test_set(name)
    corpus = {f"{name}/{key}": text for name, data in sets.items() for key, text in data.corpus.items()}
    queries = {f"{name}/{key}": text for name, data in sets.items() for key, text in data.queries.items()}
    qrels = {
        part: {
            f"{name}/{query}": [f"{name}/{document}" for document in documents]
            for name, data in sets.items()
            for query, documents in data.qrels[part].items()
        }
        for part in SPLITS
    }
    return PreparedData(corpus, queries, qrels, _manifest(sets), parts=dict(sets))


def _manifest(sets: Mapping[str, PreparedData]) -> dict[str, object]:
    named = "".join(f"{name} {data.fingerprint}\n" for name, data in sets.items())
    counts: Counter[str] = Counter()
    for data in sets.values():
        counts.update(data.manifest["counts"])
    return {
        "kind": "joined",
        "source": ", ".join(sets),
        "counts": dict(counts),
        "fingerprint": hashlib.sha256(named.encode()).hexdigest(),
    }


def complete_batch_shares(data: PreparedData, given: Mapping[str, float]) -> dict[str, float]:
    """The fraction of the batches of every set: what is given, and of the rest the same for each other set.

    Raises:
        TrainingError: a fraction for an unknown set, or fractions that are out of range or do not sum to 1.
    """
    for name, share in given.items():
        if name not in data.parts:
            known = f"expected one of {', '.join(data.parts)}" if data.parts else "expected several sets to train on"
            raise TrainingError(f"`batch_shares` {name}: no set of that name is trained on: {known}")
        if not 0 < share < 1:
            raise TrainingError(f"`batch_shares` {name}={share:g} is out of range: expected more than 0, less than 1")
    others = [name for name in data.parts if name not in given]
    rest = 1 - sum(given.values())
    if (rest <= 1e-9) if others else (data.parts and abs(rest) > 1e-9):
        wanted = f"less than 1, to leave batches for {', '.join(others)}" if others else "1"
        raise TrainingError(f"`batch_shares` sum to {1 - rest:g}: expected {wanted}")
    return {name: given.get(name, rest / max(len(others), 1)) for name in data.parts}


class JointMiner:
    """Mines for every set over its own documents, and gives each its share of the batches.

    An iteration has as many batches as one of every set alone would have together: a set that has too few for its share
    is asked anew, and one that has too many is asked in part.
    """

    def __init__(self, recipe: Recipe, texts: Texts, shares: Mapping[str, float]) -> None:
        self._texts = texts
        self._miners: dict[str, Miner] = {name: recipe.miner(part) for name, part in texts.parts.items()}
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


def own_miner(recipe: Recipe, texts: Texts, shares: Mapping[str, float]) -> Miner:
    """The recipe's miner for one set or several."""
    return JointMiner(recipe, texts, shares) if texts.parts else recipe.miner(texts)


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
