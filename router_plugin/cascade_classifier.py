"""The built-in domain classifier: cheap lexical features first, the base model's embedding where they are unsure.

Both stages are logistic regressions over the rows of the domains' profiles, so the classifier is assembled from what
the registered versions brought along. The second stage pools the log-probabilities of both with weights that maximise
the likelihood of held-out queries; the first is calibrated the same way (Guo et al., 2017, "On Calibration of Modern
Neural Networks"; Genest and Zidek, 1986, on logarithmic opinion pools).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from threadpoolctl import threadpool_limits

from registry import GENERAL, Profile
from registry.profiles import lexical_features
from router_plugin.contracts import Base

log = logging.getLogger(__name__)

Probabilities = NDArray[np.float64]

SURE = 0.9
"""The lexical stage decides alone for a domain from this probability on. It never does for ``general``: unknown words
look like everyday ones, and the base model's embedding is what ``general`` needs anyway."""

CALIBRATION_QUERIES = 200
"""Queries of each domain that calibration looks at."""

FOLDS = 3

INVERSE_REGULARISATION = 10.0


class CascadeClassifier:
    """Probabilities of ``general`` and the registered domains; each weighs the same however many queries it brought."""

    def __init__(self, general: Profile, profiles: Mapping[str, Profile], base: Base) -> None:
        """Fit both stages.

        Args:
            general: queries that belong to no domain.
            profiles: the registered domains'.
            base: the base model. Where a profile was made with another one, the lexical stage decides alone.
        """
        from scipy.sparse import vstack

        self.domains: Sequence[str] = (GENERAL, *profiles)
        self._base = base
        every = [general, *profiles.values()]
        labels = np.repeat(np.arange(len(every)), [profile.lexical.shape[0] for profile in every])
        counts = vstack([profile.lexical for profile in every]).tocsr()
        self._tfidf = TfidfTransformer(sublinear_tf=True).fit(counts)
        self._lexical = _Stage(self._tfidf.transform(counts), labels)
        self._embedding: _Stage | None = None
        if all(profile.base == base.digest for profile in every):
            self._embedding = _Stage(np.concatenate([profile.embeddings for profile in every]), labels)
        else:
            foreign = [name for name, profile in profiles.items() if profile.base != base.digest]
            log.warning("the profiles of %s were made with another base model: only spelling counts", foreign)
        self._lexical_weight = _pool_weights([self._lexical.held_out], labels[self._lexical.calibration])
        if self._embedding is not None:
            held_out = [self._lexical.held_out, self._embedding.held_out]
            self._pooled_weights = _pool_weights(held_out, labels[self._lexical.calibration])

    def probabilities(self, queries: Sequence[str]) -> Probabilities:
        """Probability of every domain, ``(n, len(domains))``."""
        lexical = self._lexical.log_probabilities(self._tfidf.transform(lexical_features(queries)))
        probabilities = np.exp(_pool([lexical], self._lexical_weight))
        unsure = np.flatnonzero(probabilities[:, 1:].max(axis=1, initial=0) < SURE)
        if len(unsure) and self._embedding is not None:
            embeddings = self._base.encode([queries[int(index)] for index in unsure])
            both = [lexical[unsure], self._embedding.log_probabilities(embeddings)]
            probabilities[unsure] = np.exp(_pool(both, self._pooled_weights))
        return probabilities


class _Stage:
    """A logistic regression over one kind of features, and what it says of queries it was not fitted on."""

    def __init__(self, rows: Any, labels: NDArray[np.int64]) -> None:
        self._columns = np.unique(rows.indices) if hasattr(rows, "indices") else np.arange(rows.shape[1])
        rows = rows[:, self._columns]
        model = LogisticRegression(C=INVERSE_REGULARISATION, class_weight="balanced", max_iter=300, tol=1e-3)
        self.calibration = _some_of_each(labels)
        self.held_out: Probabilities = np.zeros((len(self.calibration), 1))
        self._model: LogisticRegression | None = None
        if labels[-1] == 0:  # nothing but general
            return
        folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
        with threadpool_limits(1, "blas"):  # the vectors are short: threads cost more than they save
            self.held_out = cross_val_predict(
                model, rows[self.calibration], labels[self.calibration], cv=folds, method="predict_log_proba"
            )
            self._model = model.fit(rows, labels)

    def log_probabilities(self, rows: Any) -> Probabilities:
        """Log-probability of every domain, ``(n, domains)``."""
        if self._model is None:
            return np.zeros((rows.shape[0], 1))
        logs: Probabilities = self._model.predict_log_proba(rows[:, self._columns])
        return logs


def _some_of_each(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    draw = np.random.default_rng(0)
    by_domain = [np.flatnonzero(labels == domain) for domain in np.unique(labels)]
    some = [draw.permutation(rows)[:CALIBRATION_QUERIES] for rows in by_domain]
    return np.concatenate([np.resize(rows, max(len(rows), FOLDS)) for rows in some])  # every fold needs every domain


def _pool(logs: Sequence[Probabilities], weights: NDArray[np.float64]) -> Probabilities:
    """Weighted sum of log-probabilities, normalised."""
    pooled: Probabilities = log_softmax(sum(w * np.maximum(p, -30) for w, p in zip(weights, logs, strict=True)), axis=1)
    return pooled


def _pool_weights(logs: Sequence[Probabilities], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """The weights under which the labels are likeliest, every domain counting the same."""
    importance = 1 / np.bincount(labels)[labels]

    def loss(weights: NDArray[np.float64]) -> float:
        return float(-importance @ _pool(logs, weights)[np.arange(len(labels)), labels])

    found = minimize(loss, np.full(len(logs), 1 / len(logs)), method="L-BFGS-B", bounds=[(0.05, 10)] * len(logs))
    weights: NDArray[np.float64] = found.x
    return weights
