"""Maps: what is close in a model's space is close on its map, with the real t-SNE."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.manifold import TSNE

from training.reporting.maps import draw_maps

LAY_OUT = TSNE.fit_transform  # other tests do without
CLUSTERS, SIZE = 3, 8


@pytest.fixture(autouse=True)
def real_layout(monkeypatch):
    monkeypatch.setattr(TSNE, "fit_transform", LAY_OUT)


def clustered(noise: float = 0.05) -> SimpleNamespace:
    """A state with a query and a document per place in one of three clusters."""
    draw = np.random.default_rng(0)
    centres = np.repeat(np.eye(CLUSTERS, 8), SIZE, axis=0)
    queries, documents = (centres + noise * draw.normal(size=centres.shape) for _ in range(2))
    return SimpleNamespace(query_embeddings=lambda split: queries.astype(np.float32), documents=documents)


def texts(queries: int = CLUSTERS * SIZE) -> SimpleNamespace:
    names = [str(number) for number in range(queries)]
    return SimpleNamespace(queries={"test": names}, documents=names)


def test_clusters_stay_together_on_both_maps():
    best = np.arange(CLUSTERS * SIZE)
    maps = draw_maps({"base": clustered(), "kept": clustered(0.1)}, "kept", texts(), best, seed=1)
    assert maps.queries.tolist() == best.tolist() and maps.texts == texts().queries["test"]
    cluster = best // SIZE
    for places in (maps.before, maps.after):
        assert 0 <= min(places.queries.min(), places.documents.min()) < max(places.queries.max(), 0.5) <= 1
        distances = np.linalg.norm(places.queries[:, None] - places.documents[None], axis=-1)
        assert (cluster[distances.argmin(axis=1)] == cluster).all()


def test_others_are_texts_that_no_query_is_joined_to():
    few = SimpleNamespace(queries={"test": ["a", "b"]}, documents=texts().documents)
    maps = draw_maps({"base": clustered(), "kept": clustered()}, "kept", few, np.array([3, 4]), seed=1)
    assert maps.before.documents.shape == (2, 2)
    assert maps.before.others.shape == (CLUSTERS * SIZE - 2, 2)


def test_vectors_that_are_all_the_same_have_no_map():
    same = SimpleNamespace(
        query_embeddings=lambda split: np.ones((CLUSTERS * SIZE, 8), np.float32),
        documents=np.ones((CLUSTERS * SIZE, 8), np.float32),
    )
    assert draw_maps({"base": clustered(), "kept": same}, "kept", texts(), np.arange(CLUSTERS * SIZE), seed=1) is None
