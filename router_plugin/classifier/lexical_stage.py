"""The cheap stage of the domain classifier: a linear classifier over words and character n-grams."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, vstack
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC

from registry.classifier_profiles.features import (
    BUCKETS,
    WORD_BUCKETS,
    WORDS,
    counted_features,
    named_features,
)

if TYPE_CHECKING:
    from registry import Profile

Margins = NDArray[np.float32]

COST = 1.0
_TINY = 1e-30

TOLERANCE = 0.75
"""LinearSVC tolerance. Larger values hurt domains with few queries."""

FEW = 30
"""A domain with fewer queries counts less than the others, so that single queries do not have a large effect."""


class Weighting:
    """TF-IDF with sublinear counts; the words and the character n-grams of a text each have unit length.

    Salton and Buckley, 1988, "Term-Weighting Approaches in Automatic Text Retrieval".
    """

    def __init__(self, counts: csr_matrix) -> None:
        found = np.bincount(counts.indices, minlength=BUCKETS)
        self._inverse = (np.log((1 + counts.shape[0]) / (1 + found)) + 1).astype(np.float32)
        self._found = found

    def __call__(self, counts: csr_matrix) -> csr_matrix:
        """Weights of texts, ``(n, BUCKETS)``, float32."""
        rows = _rows(counts)
        values = (1 + np.log(counts.data)) * self._inverse[counts.indices]
        part = 2 * rows + (counts.indices >= WORD_BUCKETS)
        lengths = np.sqrt(np.bincount(part, weights=values**2, minlength=2 * counts.shape[0]))
        values = (values / lengths[part]).astype(np.float32)
        return csr_matrix((values, counts.indices, counts.indptr), shape=counts.shape)

    def unseen(self, counts: csr_matrix, fitted: bool = False) -> NDArray[np.float32]:
        """Fraction of the words and pairs of words of each text that no other fitted query has, ``(n,)``.

        Args:
            counts: of the texts.
            fitted: whether the texts are among the fitted queries.
        """
        rows = _rows(counts)
        word = counts.indices < WORD_BUCKETS
        every = np.bincount(rows[word], minlength=counts.shape[0])
        new = np.bincount(rows[word & (self._found[counts.indices] <= fitted)], minlength=counts.shape[0])
        return np.where(every > 0, new / np.maximum(every, 1), 1).astype(np.float32)

    def of_text(self, text: str, words: int) -> tuple[NDArray[np.int32], NDArray[np.float32], float]:
        """The features of one text with their weights, ``(b,)`` each, and its fraction of unseen words.

        It is the same as for a matrix of texts, in a tenth of the time.
        """
        buckets, counts = counted_features(text, words)
        values = (1 + np.log(counts)) * self._inverse[buckets]
        split = int(buckets.searchsorted(WORD_BUCKETS))
        for part in (values[:split], values[split:]):
            part /= max(math.sqrt(part @ part), _TINY)
        unseen = 1 - np.count_nonzero(self._found[buckets[:split]]) / split if split else 1.0
        return buckets, values, unseen


def _rows(counts: csr_matrix) -> NDArray[np.int64]:
    """The row of every stored value."""
    return np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))


class LexicalStage:
    """For each domain a linear support vector machine against all others (Fan et al., 2008, "LIBLINEAR").

    Each is the mean of several, one per fold of the queries, which is not fitted on that fold (Breiman, 1996, "Bagging
    Predictors"). Their margins on held-out queries therefore need no extra fit.

    Attributes:
        weighting: of the features.
        held_out: for each fold the margins of its queries, and of the same queries misspelt, by the machines that were
            not fitted on it, ``(n, d)`` each.
    """

    def __init__(self, folds: Sequence[Sequence[Profile]], words: int = WORDS) -> None:
        """Fit them.

        Args:
            folds: for each fold, the part of every domain's profile that is in it.
            words: version by which the words of texts are read.
        """
        self._words = words
        self.weighting = Weighting(vstack([profile.lexical for fold in folds for profile in fold], format="csr"))
        clean = [self._features([profile.lexical for profile in fold]) for fold in folds]
        misspelt = [self._features([profile.misspelt for profile in fold]) for fold in folds]
        labels = [domain_of_each(fold) for fold in folds]
        machines = []
        for held_out in range(len(folds)):
            others = [fold for fold in range(len(folds)) if fold != held_out]
            features = vstack([part[fold] for part in (clean, misspelt) for fold in others], format="csr")
            machines.append(_fit(features, np.concatenate(2 * [labels[fold] for fold in others]), len(folds[0])))
        self._heads = _Heads(*(np.mean(part, axis=0) for part in zip(*machines, strict=True)))
        self.held_out = [
            (_margins(features, heads), _margins(wrong, heads))
            for features, wrong, heads in zip(clean, misspelt, machines, strict=True)
        ]

    def measure(self, text: str) -> tuple[Margins, float]:
        """Signed distance of a text from every domain's boundary, ``(d,)``, above 0 on the domain's side; its fraction
        of unseen words."""
        buckets, values, unseen = self.weighting.of_text(text, self._words)
        margins: Margins = values @ self._heads.weights[buckets] + self._heads.offsets
        return margins, unseen

    def contributions(self, text: str) -> dict[str, Margins]:
        """What each word, pair of words and character n-gram of a text adds to the margins, ``(d,)`` each."""
        buckets, values, _ = self.weighting.of_text(text, self._words)
        value = dict(zip(buckets.tolist(), values.tolist(), strict=True))
        named = named_features(text, self._words)
        return {name: value[bucket] * self._heads.weights[bucket] for name, bucket in named.items()}

    def _features(self, counts: Sequence[csr_matrix]) -> csr_matrix:
        return self.weighting(vstack(counts, format="csr"))


def domain_of_each(profiles: Sequence[Profile]) -> NDArray[np.int64]:
    """The number of the domain of each query of the profiles, in their order, ``(n,)``."""
    return np.repeat(np.arange(len(profiles)), [profile.lexical.shape[0] for profile in profiles])


class _Heads(NamedTuple):
    weights: NDArray[np.float32]
    offsets: NDArray[np.float32]


def _margins(features: csr_matrix, heads: _Heads) -> Margins:
    found: Margins = features @ heads.weights + heads.offsets
    return found


def _fit(features: csr_matrix, labels: NDArray[np.int64], domains: int) -> _Heads:
    """A machine for every domain; one without rows is never likely."""
    heads = _Heads(np.zeros((BUCKETS, domains), dtype=np.float32), np.full(domains, -1, dtype=np.float32))
    present = np.unique(labels)
    if len(present) < 2:
        heads.offsets[present] = 1
        return heads
    used, columns = _used(features)
    counts = np.maximum(np.bincount(labels)[present], FEW)
    weight = dict(zip(present.tolist(), len(labels) / (len(present) * counts), strict=True))
    machine = LinearSVC(C=COST, tol=TOLERANCE, class_weight=weight, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        machine.fit(columns, labels)
    weights, offsets = machine.coef_.T, machine.intercept_
    if len(present) == 2:
        weights, offsets = np.hstack([-weights, weights]), np.concatenate([-offsets, offsets])
    heads.weights[np.ix_(used, present)] = weights
    heads.offsets[present] = offsets
    return heads


def _used(features: csr_matrix) -> tuple[NDArray[np.int64], csr_matrix]:
    """The numbers of the columns that are not empty, and the matrix of these columns in double precision."""
    held = np.bincount(features.indices, minlength=BUCKETS) > 0
    place = (np.cumsum(held) - 1).astype(np.int32)
    values = (features.data.astype(np.float64), place[features.indices], features.indptr)
    return np.flatnonzero(held), csr_matrix(values, shape=(features.shape[0], int(held.sum())))
