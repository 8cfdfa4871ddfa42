"""Evidence of what a run changed: the rank of every test query before and after, training examples, and maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from registry.records import Record
from training.mining.examples import Examples
from training.reporting.maps import Maps, draw_maps
from training.retrieval.ranking import DEPTH, NOTHING
from training.retrieval.states import BASE_STATE, States
from training.retrieval.texts import Texts

BEYOND = DEPTH + 1
"""The rank of what is not among the first 100."""
CHANGES = 20
EXAMPLES = 6


class Example(Record):
    """A training example."""

    query: str
    positive: str
    negatives: list[str]


@dataclass(frozen=True)
class Change:
    """A query whose best relevant document changed its rank, and the document that now ranks first, if any."""

    query: str
    relevant: str
    before: int
    after: int
    first: str


@dataclass(frozen=True)
class Evidence:
    """Single texts that a page shows, and the ranks of all test queries.

    Attributes:
        before: rank of each test query's best relevant document in the base model, :data:`BEYOND` where it is not among
            the first 100, ``(q,)``.
        after: the same in the model that was kept.
        worse: the queries that lost most in reciprocal rank, worst first.
        better: those that gained most.
        examples: a sample of the training examples of each iteration.
        maps: of a sample of the test queries; None where there are too few texts.
    """

    before: NDArray[np.int64]
    after: NDArray[np.int64]
    worse: list[Change]
    better: list[Change]
    examples: dict[str, list[Example]]
    maps: Maps | None


def gather(states: States, chosen: str, texts: Texts, examples: dict[str, list[Example]], seed: int) -> Evidence:
    """Compare the base model with the one that was kept, from rankings and embeddings that the run has.

    Args:
        states: of the run.
        chosen: name of the state that was kept.
        texts: prepared data.
        examples: of each iteration what :func:`sample_examples` took.
        seed: of the sample that is mapped.
    """
    base, kept = states[BASE_STATE].ranked("test"), states[chosen].ranked("test")
    relevant = texts.relevant["test"]
    best = np.array([_best(row, wanted) for row, wanted in zip(base, relevant, strict=True)], dtype=np.int64)
    before, after = first_ranks(base, relevant), first_ranks(kept, relevant)
    gains = _reciprocal(after) - _reciprocal(before)

    def change(query: int) -> Change:
        first = kept[query, 0]
        return Change(
            query=texts.queries["test"][query],
            relevant=texts.documents[best[query]],
            before=int(before[query]),
            after=int(after[query]),
            first="" if first == NOTHING else texts.documents[first],
        )

    order = np.argsort(gains, kind="stable").tolist()
    return Evidence(
        before,
        after,
        worse=[change(query) for query in order[:CHANGES] if gains[query] < 0],
        better=[change(query) for query in order[::-1][:CHANGES] if gains[query] > 0],
        examples=examples,
        maps=draw_maps(states, chosen, texts, best, seed),
    )


def first_ranks(ranked: NDArray[np.int64], relevant: Sequence[set[int]]) -> NDArray[np.int64]:
    """The rank from 1 of each query's best relevant document, ``(q,)``.

    Args:
        ranked: document positions, best first, ``(q, n)``.
        relevant: the relevant positions of each query.
    """
    hits = np.array([[document in wanted for document in row] for row, wanted in zip(ranked, relevant, strict=True)])
    return np.where(hits.any(axis=1), hits.argmax(axis=1) + 1, BEYOND)


def sample_examples(examples: Examples, texts: Texts) -> list[Example]:
    """Some of an iteration's training examples, evenly from first to last."""
    columns = examples.columns
    negatives = [column for name, column in columns.items() if name.startswith("negative")]
    return [
        Example(
            query=columns["anchor"][row],
            positive=columns["positive"][row]
            if "positive" in columns
            else texts.documents[min(texts.relevant["train"][columns["label"][row]])],
            negatives=[column[row] for column in negatives],
        )
        for row in np.unique(np.linspace(0, len(examples) - 1, EXAMPLES).astype(int)).tolist()
    ]


def _best(row: NDArray[np.int64], relevant: set[int]) -> int:
    """The relevant document that ranks first; any of them where none is ranked."""
    return next((document for document in row.tolist() if document in relevant), min(relevant))


def _reciprocal(ranks: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.where(ranks < BEYOND, 1 / ranks, 0)
