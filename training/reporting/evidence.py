"""Evidence of what a run changed: the rank of every test query before and after, examples learnt from, a map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.manifold import TSNE

from training.mining.examples import Examples
from training.retrieval.ranking import DEPTH
from training.retrieval.states import BASE_STATE, Indices, States
from training.retrieval.texts import Texts

BEYOND = DEPTH + 1
"""The rank of what is not among the first 100."""
CHANGES = 20
EXAMPLES = 6
_PAIRS = 80
_OTHERS = 80
_SPREAD = 1e-4
_FEWEST = 4


@dataclass(frozen=True)
class Change:
    """A query whose best relevant document changed its rank, and which document it finds first now."""

    query: str
    relevant: str
    before: int
    after: int
    first: str


@dataclass(frozen=True)
class Map:
    """Places of texts in the plane, from 0 to 1: of queries and their documents ``(n, 2)``, of others ``(m, 2)``."""

    queries: NDArray[np.float64]
    documents: NDArray[np.float64]
    others: NDArray[np.float64]


@dataclass(frozen=True)
class Evidence:
    """What is shown of single texts.

    Attributes:
        before: rank of each test query's best relevant document in the base model, :data:`BEYOND` where it is not among
            the first 100, ``(q,)``.
        after: the same in the model that was kept.
        worse: the queries that lost most in reciprocal rank, worst first.
        better: those that gained most.
        examples: some of what each iteration learnt from: ``query``, ``right`` and ``wrong`` texts.
        mapped: positions of the test queries on the maps.
        questions: their texts.
        maps: of the base model and of the model that was kept; none where there is too little to be laid out.
    """

    before: NDArray[np.int64]
    after: NDArray[np.int64]
    worse: list[Change]
    better: list[Change]
    examples: dict[str, list[dict[str, Any]]]
    mapped: Indices
    questions: list[str]
    maps: tuple[Map, Map] | None


def gather(states: States, chosen: str, texts: Texts, examples: dict[str, list[dict[str, Any]]], seed: int) -> Evidence:
    """Compare the base model with the one that was kept, from embeddings that the run has.

    Args:
        states: of the run.
        chosen: name of the state that was kept.
        texts: prepared data.
        examples: of each iteration what :func:`some_of` showed.
        seed: of the sample that is mapped.
    """
    ranked = [states[name].ranked("test") for name in (BASE_STATE, chosen)]
    before, after = (first_ranks(each, texts.relevant["test"]) for each in ranked)
    lost, won = (np.where(ranks < BEYOND, 1 / ranks, 0) for ranks in (before, after))
    gain = won - lost
    order = np.argsort(gain, kind="stable")

    def change(query: int) -> Change:
        return Change(
            texts.queries["test"][query],
            texts.documents[_best(ranked[0][query], texts.relevant["test"][query])],
            int(before[query]),
            int(after[query]),
            texts.documents[int(ranked[1][query][0])],
        )

    draw = np.random.default_rng(seed)
    mapped = np.sort(draw.permutation(len(before))[:_PAIRS])
    documents = np.array([_best(ranked[0][query], texts.relevant["test"][query]) for query in mapped])
    others = np.setdiff1d(draw.permutation(len(texts.documents))[: 2 * _OTHERS], documents)[:_OTHERS]
    return Evidence(
        before,
        after,
        [change(query) for query in order[:CHANGES] if gain[query] < 0],
        [change(query) for query in order[::-1][:CHANGES] if gain[query] > 0],
        examples,
        mapped,
        [texts.queries["test"][query] for query in mapped],
        _maps(states, chosen, mapped, documents, others, seed),
    )


def first_ranks(ranked: NDArray[np.int64], relevant: Sequence[set[int]]) -> NDArray[np.int64]:
    """The rank from 1 of each query's best relevant document, ``(q,)``.

    Args:
        ranked: document positions, best first, ``(q, n)``.
        relevant: the relevant positions of each query.
    """
    hits = np.array([[document in wanted for document in row] for row, wanted in zip(ranked, relevant, strict=True)])
    return np.where(hits.any(axis=1), hits.argmax(axis=1) + 1, BEYOND)


def some_of(examples: Examples, texts: Texts) -> dict[str, Any]:
    """Some of an iteration's examples, evenly from first to last, under ``rows``."""
    columns = examples.columns
    wrong = [name for name in columns if name.startswith("negative")]
    chosen = np.unique(np.linspace(0, len(examples) - 1, EXAMPLES).astype(int))
    return {
        "rows": [
            {
                "query": columns["anchor"][row],
                "right": columns["positive"][row]
                if "positive" in columns
                else texts.documents[min(texts.relevant["train"][columns["label"][row]])],
                "wrong": [columns[name][row] for name in wrong],
            }
            for row in chosen.tolist()
        ]
    }


def _best(row: NDArray[np.int64], relevant: set[int]) -> int:
    """The relevant document that ranks first; any where none is ranked."""
    return next((int(document) for document in row if int(document) in relevant), min(relevant))


def _maps(
    states: States, chosen: str, queries: Indices, documents: Indices, others: Indices, seed: int
) -> tuple[Map, Map] | None:
    """Both states laid out by t-SNE (van der Maaten and Hinton, 2008), the second from where the first ended."""
    vectors = []
    for name in (BASE_STATE, chosen):
        state = states[name]
        shown, among = state.query_embeddings("test")[queries], state.documents
        vectors.append(np.concatenate([shown, among[documents], among[others]]))
    if len(vectors[0]) < _FEWEST or min(each.std(axis=0).max() for each in vectors) == 0:
        return None
    before = _lay_out(vectors[0], "pca", seed)
    after = _lay_out(vectors[1], (before / before[:, 0].std() * _SPREAD).astype(np.float32), seed)
    return _map(before, len(queries)), _map(after, len(queries))


def _lay_out(vectors: NDArray[np.float32], start: Any, seed: int) -> NDArray[np.float64]:
    """Places in the plane, ``(n, 2)``."""
    near = min(30, (len(vectors) - 1) // 3)
    layout = TSNE(perplexity=near, init=start, max_iter=500, random_state=seed)
    places: NDArray[np.float64] = layout.fit_transform(vectors)
    return places


def _map(places: NDArray[np.float64], pairs: int) -> Map:
    low, high = places.min(axis=0), places.max(axis=0)
    within = (places - low) / np.maximum(high - low, 1e-9)
    return Map(within[:pairs], within[pairs : 2 * pairs], within[2 * pairs :])
