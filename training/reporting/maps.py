"""Maps of the embeddings of a sample of queries, of their documents and of others, before and after a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.manifold import TSNE

from training.retrieval.states import BASE_STATE, Indices, State, States
from training.retrieval.texts import Texts

QUERIES = 80
OTHERS = 80
MIN_TEXTS = 4

Floats = NDArray[np.float64]
_SPREAD = 1e-4
"""Standard deviation of where t-SNE starts, as scikit-learn scales it when it starts from PCA."""
_MAX_PERPLEXITY = 30


@dataclass(frozen=True)
class Map:
    """Places of texts in the plane, from 0 to 1: of queries and their documents ``(n, 2)``, of others ``(m, 2)``."""

    queries: Floats
    documents: Floats
    others: Floats


@dataclass(frozen=True)
class Maps:
    """The same texts on two maps.

    Attributes:
        queries: positions of the test queries on the maps, ``(n,)``.
        texts: their texts.
        before: by the base model.
        after: by the model that was kept.
    """

    queries: Indices
    texts: list[str]
    before: Map
    after: Map


def draw_maps(states: States, chosen: str, texts: Texts, best: Indices, seed: int) -> Maps | None:
    """Lay a sample out by t-SNE (van der Maaten and Hinton, 2008); the second map starts from where the first ended.

    Args:
        states: of the run.
        chosen: name of the state that was kept.
        texts: prepared data.
        best: the document that each test query is joined to, ``(q,)``.
        seed: of the sample.

    Returns:
        None where there are too few texts, or a model gives all of them the same vector.
    """
    draw = np.random.default_rng(seed)
    queries = np.sort(draw.permutation(len(best))[:QUERIES])
    others = np.setdiff1d(draw.permutation(len(texts.documents))[: 2 * OTHERS], best[queries])[:OTHERS]
    before, after = (_vectors(states[name], queries, best[queries], others) for name in (BASE_STATE, chosen))
    if len(before) < MIN_TEXTS or min(vectors.std(axis=0).max() for vectors in (before, after)) == 0:
        return None
    first = _lay_out(before, "pca", seed)
    second = _lay_out(after, (first / first[:, 0].std() * _SPREAD).astype(np.float32), seed)
    return Maps(
        queries,
        [texts.queries["test"][query] for query in queries],
        _map(first, len(queries)),
        _map(second, len(queries)),
    )


def _vectors(state: State, queries: Indices, documents: Indices, others: Indices) -> NDArray[np.float32]:
    """Embeddings of the queries, their documents and others, one below the other."""
    asked, among = state.query_embeddings("test"), state.documents
    return np.concatenate([asked[queries], among[documents], among[others]])


def _lay_out(vectors: NDArray[np.float32], start: Literal["pca"] | NDArray[np.float32], seed: int) -> Floats:
    """Places in the plane, ``(n, 2)``."""
    perplexity = min(_MAX_PERPLEXITY, (len(vectors) - 1) // 3)
    places: Floats = TSNE(perplexity=perplexity, init=start, max_iter=500, random_state=seed).fit_transform(vectors)
    return places


def _map(places: Floats, pairs: int) -> Map:
    low, high = places.min(axis=0), places.max(axis=0)
    within = (places - low) / np.maximum(high - low, 1e-9)
    return Map(within[:pairs], within[pairs : 2 * pairs], within[2 * pairs :])
