"""Turns the measures of the domain classifier's stages into probabilities, fitted on held-out queries.

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
from scipy.special import expit, log_softmax
from sklearn.linear_model import LogisticRegression

from router_plugin.classifier.lexical_stage import FEW
from router_plugin.classifier.neighbour_stage import Nearness

Floats = NDArray[np.float64]

GENERAL_RATIO = 0.25
"""Assumed fraction of queries outside all domains; the rest is divided evenly among the domains."""

SUBJECT = 1.0
"""What subjects count beside the densities, of which domain a query is and whether it is of any."""
NEAREST, LEXICAL = 0.3, 0.15
"""What the similarity to the nearest queries of the best domain, and the margins of the lexical stage, count beside
these in whether a query is of any domain. Like ``SUBJECT``, they are chosen on validation questions of other sources
and not fitted: a fit to held-out queries of the same sources trusts known words, and how near known queries are, too
much."""

WORDS_NEEDED = 0.08
"""The weight of the margins is fitted nevertheless if this reduces the loss by a larger fraction: then the base model
cannot tell the domains from ``general`` without the words."""


class Measures(NamedTuple):
    """What the stages measure for ``n`` texts; column 0 is ``general``.

    Attributes:
        margins: of the lexical stage, ``(n, d)``.
        unseen: fraction of unseen words, ``(n,)``.
        near: of the neighbour stage; None where it was not used.
    """

    margins: NDArray[np.float32]
    unseen: NDArray[np.float32]
    near: Nearness | None = None

    def take(self, rows: NDArray[np.int64] | slice) -> Measures:
        """Some of the texts."""
        near = self.near and self.near.take(rows)
        return Measures(self.margins[rows], self.unseen[rows], near)


@dataclass(frozen=True)
class Calibration:
    """Probabilities from measures; fitted with and without the neighbour stage.

    Attributes:
        pooling: for each kind of measure its weight, and what is added to the weight for a text of unseen words only:
            the embedding of misspelt words is less reliable than their letters.
        rejection: weights of the logistic regression, the constant first.
    """

    pooling: Floats
    rejection: Floats

    @classmethod
    def fit(cls, measures: Measures, labels: NDArray[np.int64]) -> Calibration:
        """The weights with the maximum likelihood of the labels.

        Args:
            measures: of held-out queries.
            labels: their domains, 0 for ``general``.
        """
        weight = _weights(labels)
        own = labels > 0
        parts, targets = _parts(measures.take(np.flatnonzero(own))), labels[own] - 1
        rows = np.arange(len(targets))

        def loss(pooling: Floats) -> tuple[float, Floats]:
            """The loss and its gradient: the expectation of each part minus its value for the right domain."""
            logs = log_softmax(_pool(parts, pooling), axis=1)
            likely = np.exp(logs)
            gradient = [weight[own] @ ((likely * part).sum(axis=1) - part[rows, targets]) for part in parts]
            return float(-weight[own] @ logs[rows, targets]), np.array(gradient)

        start = np.array([2.0, 0.0, 1.0, 0.0, 1.0, 0.0][: len(parts)])
        bounds = [(0.1, 50), (-50, 50), *([(0.005, 4), (-4, 4)] * 2)][: len(parts)]
        pooling: Floats = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
        unknown = _as_if_unknown(measures, labels)
        features = np.concatenate([_fit_of_best(measures), _fit_of_best(unknown)])
        of_a_domain = np.concatenate([own, np.zeros(len(unknown.unseen), dtype=bool)])
        weights = np.concatenate([weight, weight[~own]])
        if measures.near is None:
            return cls(pooling, _logistic(features, of_a_domain, weights))
        return cls(pooling, _rejection(features, of_a_domain, weights))

    def probabilities(self, measures: Measures) -> Floats:
        """Probability of every domain, ``(n, d)``."""
        known = expit(_linear(_fit_of_best(measures), self.rejection))[:, None]
        return np.hstack([1 - known, known * np.exp(_log_softmax(_pool(_parts(measures), self.pooling)))])


def thresholds(probabilities: Floats, labels: NDArray[np.int64], precision: float) -> Floats:
    """The minimum probability of each domain with which the desired precision is reached.

    Args:
        probabilities: of held-out queries, ``(n, d)``.
        labels: their domains.
        precision: of the queries sent to a domain, the desired fraction that belong to it, from 0 to 1.

    Returns:
        ``(d,)``, 0 for ``general``; where no probability is enough, just above the largest.
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
    """Queries outside all domains, measured as if ``general`` did not know them.

    Queries of a field that is not registered look like that: they belong to no domain, and are unlike everyday queries.
    """
    rows = np.flatnonzero(labels == 0)
    others = np.random.default_rng(0).choice(np.flatnonzero(labels > 0), len(rows))
    unknown = measures.take(rows)
    margins = _with_general_of(unknown.margins, measures.margins[others])
    if measures.near is None or unknown.near is None:
        return Measures(margins, unknown.unseen)
    near = map(_with_general_of, unknown.near, measures.near.take(others))
    return Measures(margins, unknown.unseen, Nearness(*near))


def _with_general_of(measure: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    """A measure of queries, with the column of ``general`` of other queries."""
    return np.column_stack([others[:, 0], measure[:, 1:]])


def _parts(measures: Measures) -> list[Floats]:
    """The parts to pool: each measure without ``general``, and the same times ``unseen``; ``(n, d - 1)`` each."""
    near = measures.near
    kinds = [measures.margins] if near is None else [measures.margins, near.similarities, _placed(near)]
    every = [kind[:, 1:].astype(np.float64) for kind in kinds]
    return [part for kind in every for part in (kind, measures.unseen[:, None] * kind)]


def _pool(parts: Sequence[Floats], pooling: Floats) -> Floats:
    """The weighted sum of the parts, ``(n, d - 1)``."""
    pooled: Floats = sum(weight * part for weight, part in zip(pooling, parts, strict=True))
    return pooled


def _log_softmax(pooled: Floats) -> Floats:
    """Like scipy's, which is faster for many rows but has more overhead for a single one."""
    logs: Floats = pooled - np.logaddexp.reduce(pooled, axis=1, keepdims=True)
    return logs


def _fit_of_best(measures: Measures) -> Floats:
    """The measures of the best domain and of ``general``, ``(n, 3)``.

    With the neighbour stage, these are the sum of its measures with the margins in their fixed ratios, and by how much
    the best margin exceeds that of ``general``; ``(n, 2)``.
    """
    margins, near = measures.margins, measures.near
    if near is None:
        columns = [margins[:, 1:].max(axis=1), margins[:, 0], measures.unseen]
    else:
        lexical, nearest = _advantage(margins), near.similarities[:, 1:].max(axis=1)
        columns = [_advantage(_placed(near)) + NEAREST * nearest + LEXICAL * lexical, lexical]
    return np.stack(columns, axis=1).astype(np.float64)


def _placed(near: Nearness) -> NDArray[np.float32]:
    """How well a query fits in where the queries and the subjects of every domain lie, ``(n, d)``."""
    placed: NDArray[np.float32] = near.densities + np.float32(SUBJECT) * near.subjects
    return placed


def _rejection(features: Floats, targets: NDArray[np.bool_], weight: Floats) -> Floats:
    """The logistic regression on the fixed sum alone, unless the margins are needed; the constant first, ``(3,)``."""
    fixed, fitted = _logistic(features[:, :1], targets, weight), _logistic(features, targets, weight)
    fixed = np.append(fixed, 0)
    losses = [weight @ np.logaddexp(0, np.where(targets, -1, 1) * _linear(features, each)) for each in (fixed, fitted)]
    return fixed if losses[1] >= (1 - WORDS_NEEDED) * losses[0] else fitted


def _logistic(features: Floats, targets: NDArray[np.bool_], weight: Floats) -> Floats:
    """The weights of a logistic regression, the constant first."""
    model = LogisticRegression(C=100, max_iter=300).fit(features, targets, sample_weight=weight)
    return np.concatenate([model.intercept_, model.coef_[0]])


def _linear(features: Floats, weights: Floats) -> Floats:
    """The weighted sum of the features and the constant, ``(n,)``."""
    total: Floats = weights[0] + features @ weights[1:]
    return total


def _advantage(measure: NDArray[np.float32]) -> NDArray[np.float32]:
    """By how much the best domain exceeds ``general``, ``(n,)``."""
    exceeds: NDArray[np.float32] = measure[:, 1:].max(axis=1) - measure[:, 0]
    return exceeds


def _weights(labels: NDArray[np.int64]) -> Floats:
    """The weight of each query, with which domains have equal weight whatever the number of their queries."""
    counts = np.bincount(labels)
    ratio = np.full(len(counts), (1 - GENERAL_RATIO) / (len(counts) - 1))
    ratio[0] = GENERAL_RATIO
    weight: Floats = (ratio / np.maximum(counts, FEW))[labels] * len(labels)
    return weight
