"""What may come of the nearest route of a query: it is right, another route is, or none is; and how probable each is.

One logistic regression of three outcomes (Platt, 1999, "Probabilistic Outputs for Support Vector Machines"). Where the
nearest route is as probable as none, its score is at the route's threshold, raised by the doubt about the domain.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pydantic
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEAD = 0.3
"""A greater lead over the next route says no more."""

Share = float | Floats
"""A probability, or several."""


class OutcomeWeights(pydantic.BaseModel):
    """The weights of the logistic regression.

    Attributes:
        sharpness: how much the logarithm of the odds of the nearest route, against none, grows with its score.
        domain: by how much a threshold is raised if the route's domain is impossible.
        general: by how much it is raised if the query certainly belongs to ``general`` and the route does not.
        other: of :func:`features`, the constant first: the logarithm of the odds of another route, against none.
    """

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    sharpness: float = pydantic.Field(gt=0)
    domain: float = pydantic.Field(ge=0)
    general: float = pydantic.Field(ge=0)
    other: tuple[float, float, float, float, float]

    def doubt(self, domain: Share, general: Share) -> Share:
        """By how much thresholds are raised.

        Args:
            domain: probability of the route's domain.
            general: probability of ``general``; 0 where the route belongs to it.
        """
        return self.domain * (1 - domain) + self.general * general


DEFAULT_WEIGHTS = OutcomeWeights(sharpness=18.75, domain=0.051, general=0.065, other=(-3.71, 1.5, -1.39, -1.22, -1.87))
_ONE_UTTERANCE, _TEN_TIMES_AS_MANY = 0.19, 0.07
"""All fitted to public sets by ``benchmarks/refusal.py``."""


def default_threshold(utterances: int) -> float:
    """The threshold of a route without one of its own: the nearest of many utterances is nearer than that of few.

    Args:
        utterances: of all routes.
    """
    return round(_ONE_UTTERANCE + _TEN_TIMES_AS_MANY * math.log10(max(utterances, 1)), 3)


class Nearest(NamedTuple):
    """The nearest route of a query.

    Attributes:
        route: its position among all routes.
        score: its score.
        next_score: the best score of another route; -1 without one.
        domain: the probability of its domain.
        general: the probability of ``general``; 0 where the route belongs to it.
    """

    route: int
    score: float
    next_score: float
    domain: float
    general: float


class Outcome(NamedTuple):
    """The probabilities that no route is right, that another one than the nearest is, and that the nearest one is."""

    none: float
    other: float
    right: float


def outcome(weights: OutcomeWeights, nearest: Nearest, threshold: float) -> Outcome:
    """What may come of a route with this threshold."""
    of_right = weights.sharpness * (nearest.score - threshold - weights.doubt(nearest.domain, nearest.general))
    of_other = weights.other[0] + features([nearest])[0] @ np.array(weights.other[1:])
    return Outcome(*softmax(np.array([[0.0, of_other, of_right]]))[0].tolist())


def features(every: list[Nearest]) -> Floats:
    """Score and lead over the next route, both times 10, and both probabilities, ``(n, 4)``."""
    scores, next_scores, domains, generals = (np.array(part) for part in list(zip(*every, strict=True))[1:])
    return np.stack([10 * scores, 10 * np.minimum(scores - next_scores, LEAD), domains, generals], axis=1)


def softmax(logits: Floats) -> Floats:
    """Of every row."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    found: Floats = powers / powers.sum(axis=1, keepdims=True)
    return found
