"""From what the stages of the domain classifier measure to probabilities, fitted on queries that were held out.

Which domain, if any of them, is a softmax over pooled measures (Guo et al., 2017, "On Calibration of Modern Neural
Networks"); whether it is any of them, is a logistic regression on how well the best of them fits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from router_plugin.classifier.lexical_stage import FEW

Floats = NDArray[np.float64]

GENERAL_SHARE = 0.2
"""How much of all queries are taken to be of no domain; the domains share the rest evenly."""


class Measures(NamedTuple):
    """What was measured of ``n`` texts; column 0 is ``general``.

    Attributes:
        margins: of the lexical stage, ``(n, d)``.
        unseen: share of unseen words, ``(n,)``.
        similarities: of the neighbour stage, ``(n, d)``; None where it was not asked.
    """

    margins: NDArray[np.float32]
    unseen: NDArray[np.float32]
    similarities: NDArray[np.float32] | None = None

    def take(self, rows: NDArray[np.int64] | slice) -> Measures:
        """Some of the texts."""
        near = None if self.similarities is None else self.similarities[rows]
        return Measures(self.margins[rows], self.unseen[rows], near)


@dataclass(frozen=True)
class Calibration:
    """Probabilities from measures; fitted with and without the neighbour stage.

    Attributes:
        pooling: for each kind of measure its weight, and what is added to it for a text of unseen words only: where
            words are misspelt, the embedding knows less than the letters do.
        rejection: weights of the logistic regression, the constant first.
    """

    pooling: Floats
    rejection: Floats

    @classmethod
    def fit(cls, measures: Measures, labels: NDArray[np.int64]) -> Calibration:
        """The weights under which the labels are likeliest.

        Args:
            measures: of held-out queries.
            labels: their domains, 0 for ``general``.
        """
        weight = _weights(labels)
        own = labels > 0
        parts, targets = _parts(measures.take(np.flatnonzero(own))), labels[own] - 1
        rows = np.arange(len(targets))

        def loss(pooling: Floats) -> tuple[float, Floats]:
            """And its gradient: of each part what is expected less what the right domain has."""
            logs = _log_softmax(_pool(parts, pooling))
            likely = np.exp(logs)
            gradient = [weight[own] @ ((likely * part).sum(axis=1) - part[rows, targets]) for part in parts]
            return float(-weight[own] @ logs[rows, targets]), np.array(gradient)

        start = np.array([2.0, 0.0, 15.0, 0.0][: len(parts)])
        bounds = ([(0.1, 50), (-50, 50)] * 2)[: len(parts)]
        pooling: Floats = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
        unknown = _as_if_unknown(measures, labels)
        features = np.concatenate([_fit_of_best(measures), _fit_of_best(unknown)])
        of_a_domain = np.concatenate([own, np.zeros(len(unknown.unseen), dtype=bool)])
        model = LogisticRegression(C=100, max_iter=300)
        model.fit(features, of_a_domain, sample_weight=np.concatenate([weight, weight[~own]]))
        return cls(pooling, np.concatenate([model.intercept_, model.coef_[0]]))

    def probabilities(self, measures: Measures) -> Floats:
        """Probability of every domain, ``(n, d)``."""
        known = expit(self.rejection[0] + _fit_of_best(measures) @ self.rejection[1:])[:, None]
        return np.hstack([1 - known, known * np.exp(_log_softmax(_pool(_parts(measures), self.pooling)))])


def thresholds(probabilities: Floats, labels: NDArray[np.int64], precision: float) -> Floats:
    """The least probability of each domain from which on so large a share of the queries given to it are its own.

    Args:
        probabilities: of held-out queries, ``(n, d)``.
        labels: their domains.
        precision: from 0 to 1.

    Returns:
        ``(d,)``, 0 for ``general``; where no probability is enough, just more than the greatest.
    """
    weight, best = _weights(labels), probabilities.argmax(axis=1)
    found = np.zeros(probabilities.shape[1])
    for domain in range(1, probabilities.shape[1]):
        given = np.flatnonzero(best == domain)
        order = given[np.argsort(-probabilities[given, domain], kind="stable")]
        right = np.cumsum(weight[order] * (labels[order] == domain))
        enough = np.flatnonzero(right >= precision * np.cumsum(weight[order]))
        if len(enough):
            found[domain] = probabilities[order[enough[-1]], domain]
        elif len(order):
            found[domain] = np.nextafter(probabilities[order[0], domain], 2)
    return found


def _as_if_unknown(measures: Measures, labels: NDArray[np.int64]) -> Measures:
    """The queries of no domain, as if ``general`` knew as little of them as of a domain's.

    So are queries of a field that is not registered: no domain's, and not like everyday ones either.
    """
    rows = np.flatnonzero(labels == 0)
    others = np.random.default_rng(0).choice(np.flatnonzero(labels > 0), len(rows))
    unknown = measures.take(rows)
    margins = np.column_stack([measures.margins[others, 0], unknown.margins[:, 1:]])
    if measures.similarities is None or unknown.similarities is None:
        return Measures(margins, unknown.unseen)
    near = np.column_stack([measures.similarities[others, 0], unknown.similarities[:, 1:]])
    return Measures(margins, unknown.unseen, near)


def _parts(measures: Measures) -> list[Floats]:
    """What is pooled: every measure of the domains but ``general``, and it times ``unseen``, ``(n, d - 1)`` each."""
    kinds = [measures.margins] if measures.similarities is None else [measures.margins, measures.similarities]
    every = [kind[:, 1:].astype(np.float64) for kind in kinds]
    return [part for kind in every for part in (kind, measures.unseen[:, None] * kind)]


def _pool(parts: Sequence[Floats], pooling: Floats) -> Floats:
    """Their weighted sum, ``(n, d - 1)``."""
    pooled: Floats = sum(weight * part for weight, part in zip(pooling, parts, strict=True))
    return pooled


def _log_softmax(pooled: Floats) -> Floats:
    """As scipy's, with less overhead for a single row."""
    logs: Floats = pooled - np.logaddexp.reduce(pooled, axis=1, keepdims=True)
    return logs


def _fit_of_best(measures: Measures) -> Floats:
    """How well the best domain fits and how well ``general`` does, ``(n, 3 or 5)``."""
    columns = [measures.margins[:, 1:].max(axis=1), measures.margins[:, 0], measures.unseen]
    if measures.similarities is not None:
        columns += [10 * measures.similarities[:, 1:].max(axis=1), 10 * measures.similarities[:, 0]]
    return np.stack(columns, axis=1).astype(np.float64)


def _weights(labels: NDArray[np.int64]) -> Floats:
    """The weight of each query: domains count the same, however many queries they have."""
    counts = np.bincount(labels)
    share = np.full(len(counts), (1 - GENERAL_SHARE) / (len(counts) - 1))
    share[0] = GENERAL_SHARE
    weight: Floats = (share / np.maximum(counts, FEW))[labels] * len(labels)
    return weight
