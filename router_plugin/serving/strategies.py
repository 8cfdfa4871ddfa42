"""Which domains' encoders see a query, and with what weight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from registry import GENERAL

Weights = dict[str, float]
"""Domain to its share of the query; the shares sum to 1."""

DISCOUNT = 0.2
"""The power of its probability by which a domain's scores count in an ensemble, chosen on validation queries."""


def likeliest(
    probabilities: NDArray[np.float64], domains: Sequence[str], thresholds: Mapping[str, float], least: float
) -> Weights:
    """The likeliest domain alone, or ``general`` where it is not likely enough.

    Args:
        probabilities: of every domain, ``(d,)``.
        domains: in the order of the probabilities.
        thresholds: what some domains ask for, see :class:`router_plugin.contracts.DomainClassifier`.
        least: what every domain asks for.
    """
    best = int(probabilities.argmax())
    name = domains[best]
    return {name if probabilities[best] >= max(least, thresholds.get(name, 0.0)) else GENERAL: 1.0}


def likeliest_few(probabilities: NDArray[np.float64], domains: Sequence[str], most: int) -> Weights:
    """The likeliest ``most`` domains, the first one first, weighted by probability; none of probability 0."""
    order = np.argsort(-probabilities, kind="stable")[:most]
    kept = [row for row in order.tolist() if probabilities[row] > 0]
    total = float(probabilities[kept].sum())
    return {domains[row]: float(probabilities[row]) / total for row in kept}


def discounts(weights: Weights) -> dict[str, float]:
    """How much of the scores of each domain counts in an ensemble: all of the likeliest's, which stay cosines."""
    most = max(weights.values())
    return {name: (share / most) ** DISCOUNT for name, share in weights.items()}
