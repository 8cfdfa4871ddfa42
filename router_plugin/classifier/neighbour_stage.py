"""The expensive stage: how near a query is to what is known of every domain, in the base model's space.

Two measures complement each other. The similarity to the nearest queries (Sun et al., 2022, "Out-of-Distribution
Detection with Deep Nearest Neighbors") tells domains apart whose queries are like the known ones. The density of
queries and documents around it (Parzen, 1962, "On Estimation of a Probability Density Function and Mode") also places
queries that are like none of them, and does not depend on how many of a domain are known.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

NEIGHBOURS = 3

SHARPNESS = 1.6
"""The sharpness of the kernel times the standard deviation of the cosines between queries, so that base models whose
vectors are all alike are compared as well. Chosen on validation questions of other sources."""
SPREAD_QUERIES = 100
"""Queries of each domain whose cosines are measured for that."""

DOCUMENTS = np.float32(0.1)
"""The weight of a domain's documents in its density, however many they are; the rest is that of its queries."""

Vectors = NDArray[np.float32]


class Nearness(NamedTuple):
    """How near ``n`` queries are to the domains.

    Attributes:
        similarities: mean cosine with the three nearest known queries of every domain, times the sharpness of the
            kernel, ``(n, domains)``.
        densities: the logarithm of the mean kernel over what is known of every domain, ``(n, domains)``.
    """

    similarities: NDArray[np.float32]
    densities: NDArray[np.float32]

    def take(self, rows: NDArray[np.int64] | slice) -> Nearness:
        """Of some of the queries."""
        return Nearness(self.similarities[rows], self.densities[rows])


class NeighbourStage:
    """Compares queries with what is known of every domain."""

    def __init__(
        self, embeddings: Sequence[Vectors], documents: Sequence[Vectors] = (), sharpness: float | None = None
    ) -> None:
        """
        Args:
            embeddings: unit vectors of every domain's queries, ``(n, d)`` each, in random order.
            documents: unit vectors of sentences of every domain's documents, ``(m, d)`` or without rows each; by
                default none.
            sharpness: of the kernel, exp(sharpness * cosine), that of von Mises and Fisher on the sphere; by default it
                follows from the spread of the queries.
        """
        self.sharpness = sharpness_of(embeddings) if sharpness is None else sharpness
        self._known = list(zip_longest(embeddings, documents, fillvalue=embeddings[0][:0]))

    def nearness(self, queries: Vectors) -> Nearness:
        """Of unit vectors of queries, ``(n, d)``, to every domain."""
        sharp = np.float32(self.sharpness) * queries
        found = [_near(sharp, known, documents) for known, documents in self._known]
        return Nearness(*(np.stack(part, axis=1) for part in zip(*found, strict=True)))

    def similarities(self, queries: Vectors) -> NDArray[np.float32]:
        """Mean cosine with the three nearest known queries of every domain, ``(n, domains)``."""
        found: NDArray[np.float32] = self.nearness(queries).similarities / np.float32(self.sharpness)
        return found


def sharpness_of(embeddings: Sequence[Vectors]) -> float:
    """The sharpness of the kernel for the queries of domains, ``(n, d)`` each, in random order."""
    some = np.concatenate([known[:SPREAD_QUERIES] for known in embeddings])
    spread = (some @ some.T)[np.triu_indices(len(some), 1)].std() if len(some) > 1 else 0
    return SHARPNESS / max(float(spread), 1e-3)


def _near(queries: Vectors, known: Vectors, documents: Vectors) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The mean cosine with the nearest known queries, and the density; ``(n,)`` each."""
    total: NDArray[np.float32] = np.zeros(len(queries), dtype=np.float32)
    count = min(NEIGHBOURS, len(known))
    if not count:
        return total, total
    similar, rows = queries @ known.T, np.arange(len(queries))
    density = _log_mean_exp(similar)
    if len(documents):
        of_documents = _log_mean_exp(queries @ documents.T)
        density = np.logaddexp(density + np.log(1 - DOCUMENTS), of_documents + np.log(DOCUMENTS))
    for _ in range(count):  # one after another, which is faster than a partition of all
        best = similar.argmax(axis=1)
        total += similar[rows, best] / np.float32(count)
        similar[rows, best] = -np.inf
    return total, density


def _log_mean_exp(exponents: NDArray[np.float32]) -> NDArray[np.float32]:
    """Over the columns, ``(n,)``."""
    highest = exponents.max(axis=1)
    found: NDArray[np.float32] = np.log(np.exp(exponents - highest[:, None]).mean(axis=1)) + highest
    return found
