"""Unit vectors as places in the plane: by t-SNE where there are few, by principal components where there are many."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from router_plugin.serving.candidates import Matrix

MOST_FOR_TSNE = 3000
"""Vectors up to which t-SNE is used: it takes some 20 seconds for these, and about the square of it for more."""

Method = Literal["t-SNE", "PCA"]

_COMPONENTS = 50
"""Principal components that t-SNE reads, as its authors advise: they are faster, and suppress noise."""
_PERPLEXITY = 30
_MIN_FOR_TSNE = 4


class Layout(NamedTuple):
    """Places of vectors in the unit square, ``(n, 2)``, and how they were found."""

    places: Matrix
    method: Method


def lay_out(vectors: Matrix, seed: int = 0) -> Layout:
    """Lay vectors out in the plane.

    Up to ``MOST_FOR_TSNE`` by t-SNE (van der Maaten and Hinton, 2008, "Visualizing Data using t-SNE") of their first 50
    principal components, so that near vectors stay near. More by their first two principal components, which are
    computed at random projections (Halko et al., 2011, "Finding Structure with Randomness"): these keep large distances
    rather than neighbours.

    Args:
        vectors: finite, ``(n, d)``.
        seed: of everything random.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    few = _MIN_FOR_TSNE <= len(vectors) <= MOST_FOR_TSNE
    count = min(_COMPONENTS if few else 2, *vectors.shape)
    if len(vectors) < 2 or not vectors.std(axis=0).any():
        return Layout(np.full((len(vectors), 2), 0.5, dtype=np.float32), "PCA")
    found = PCA(count, svd_solver="randomized", random_state=seed).fit_transform(vectors)
    if few:
        perplexity = min(_PERPLEXITY, (len(vectors) - 1) // 3)
        found = TSNE(perplexity=perplexity, max_iter=500, random_state=seed).fit_transform(found)
    if found.shape[1] < 2:
        found = np.column_stack([found[:, 0], np.zeros(len(found))])
    return Layout(_in_unit_square(found), "t-SNE" if few else "PCA")


def _in_unit_square(places: Matrix) -> Matrix:
    """Places moved and scaled alike in both directions, with the middle of what they span in the middle."""
    low, high = places.min(axis=0), places.max(axis=0)
    size = max(float((high - low).max()), 1e-9)
    moved: Matrix = ((places - (low + high) / 2) / size + 0.5).astype(np.float32)
    return moved
