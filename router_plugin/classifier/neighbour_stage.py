"""The expensive stage: how near a query is to what is known of every domain, in the base model's space.

Three measures complement each other. The similarity to the nearest queries (Sun et al., 2022, "Out-of-Distribution
Detection with Deep Nearest Neighbors") tells domains apart whose queries are like the known ones. The density of
queries and documents around it (Parzen, 1962, "On Estimation of a Probability Density Function and Mode") also places
queries that are like none of them, and does not depend on how many of a domain are known. Its subjects tell of a query
that is far from all of them whether it is about what the domain is about.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from router_plugin.classifier.known.subjects import Subjects

NEIGHBOURS = 3

SHARPNESS = 1.6
"""The sharpness of the kernel times the standard deviation of the cosines between queries, so that base models whose
vectors are all alike are compared as well. Chosen on validation questions of other sources."""
SPREAD_QUERIES = 100
"""Queries of each domain whose cosines are measured for that."""

DOCUMENTS = np.float32(0.1)
"""The weight of a domain's documents in its density and subjects, however many they are; the rest is that of its
queries."""

SUBJECT_SHARPNESS = 1.8
"""The sharpness of the kernel for the phrases of subjects, as a multiple of that for queries."""
SUBJECT_TEXTS = 200
"""Queries, and documents, of each domain whose subjects are found."""

Vectors = NDArray[np.float32]


class Nearness(NamedTuple):
    """How near ``n`` queries are to the domains.

    Attributes:
        similarities: mean cosine with the three nearest known queries of every domain, times the sharpness of the
            kernel, ``(n, domains)``.
        densities: the logarithm of the mean kernel over what is known of every domain, ``(n, domains)``.
        subjects: the logarithm of how much more often than others the subjects of the query may be expected in every
            domain, ``(n, domains)``; 0 for ``general``, which is about all of them.
    """

    similarities: NDArray[np.float32]
    densities: NDArray[np.float32]
    subjects: NDArray[np.float32]

    def take(self, rows: NDArray[np.int64] | slice) -> Nearness:
        """Of some of the queries."""
        return Nearness(*(measure[rows] for measure in self))


class NeighbourStage:
    """Compares queries with what is known of every domain."""

    def __init__(
        self,
        embeddings: Sequence[Vectors],
        documents: Sequence[Vectors] = (),
        sharpness: float | None = None,
        subjects: Subjects | None = None,
    ) -> None:
        """
        Args:
            embeddings: unit vectors of every domain's queries, ``(n, d)`` each, in random order; ``general`` first.
            documents: unit vectors of sentences of every domain's documents, ``(m, d)`` or without rows each; by
                default none.
            sharpness: of the kernel, exp(sharpness * cosine), that of von Mises and Fisher on the sphere; by default it
                follows from the spread of the queries.
            subjects: that queries may be about; by default they are not looked for.
        """
        self.sharpness = sharpness_of(embeddings) if sharpness is None else sharpness
        self._known = list(zip_longest(embeddings, documents, fillvalue=embeddings[0][:0]))
        self._subjects = subjects
        if subjects is not None:
            self._expected = np.stack([self._expected_in(subjects, *each) for each in self._known[1:]], axis=1)
            own, general = self._known[0]
            others = subjects.phrases_of(self._expected.max(axis=1) < 1)
            self._known[0] = own, np.concatenate([general, others]) if len(general) else others

    def nearness(self, queries: Vectors) -> Nearness:
        """Of unit vectors of queries, ``(n, d)``, to every domain."""
        sharp = np.float32(self.sharpness) * queries
        found = [_near(sharp, known, documents) for known, documents in self._known]
        similarities, densities = (np.stack(part, axis=1) for part in zip(*found, strict=True))
        subjects = np.zeros_like(densities)
        if self._subjects is not None:
            subjects[:, 1:] = np.log(self._shares(self._subjects, queries) @ self._expected)
        return Nearness(similarities, densities, subjects)

    def similarities(self, queries: Vectors) -> NDArray[np.float32]:
        """Mean cosine with the three nearest known queries of every domain, ``(n, domains)``."""
        found: NDArray[np.float32] = self.nearness(queries).similarities / np.float32(self.sharpness)
        return found

    def _expected_in(self, subjects: Subjects, queries: Vectors, documents: Vectors) -> NDArray[np.float32]:
        """How much more often than others each subject may be expected in a domain, ``(subjects,)``."""
        if not len(queries):
            return np.ones(len(subjects), dtype=np.float32)
        shares = self._shares(subjects, queries[:SUBJECT_TEXTS]).mean(axis=0)
        if len(documents):
            of_documents = self._shares(subjects, documents[:SUBJECT_TEXTS]).mean(axis=0)
            shares = (1 - DOCUMENTS) * shares + DOCUMENTS * of_documents
        return subjects.expected(shares)

    def _shares(self, subjects: Subjects, texts: Vectors) -> NDArray[np.float32]:
        return subjects.shares(texts, SUBJECT_SHARPNESS * self.sharpness)


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
