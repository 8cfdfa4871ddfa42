"""Fits the thresholds of routes, and the probabilities of outcomes, to labelled queries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from router_plugin.cosines import Floats
from router_plugin.evaluation.outcomes import (
    DEFAULT_WEIGHTS,
    Nearest,
    Outcome,
    OutcomeWeights,
    features,
    softmax,
)

NONE, OTHER, RIGHT = range(len(Outcome._fields))

OUTSIDE = 0.2
"""Out-of-scope queries for each query of a route that are assumed at least. What is missing is made up by everyday
queries, and by the labelled ones as if their right route did not exist."""
LEFT_OUT = 0.25
"""How much the latter weigh in all, relative to the former."""

SPREAD = 0.15
"""The standard deviation of the scores that the default weights were fitted to."""
FEW = 10.0
"""How many examples that counts as, where there are others."""
HELD = (0.1, 0.04, 1.0, 1.0, 0.04, 0.1, 0.1, 1.0, 1.0)
"""How much the parameters are held where they start: those least that depend on the base model's cosines."""

Ints = NDArray[np.int64]


class Example(NamedTuple):
    """What came of the nearest route of a query, and how much that counts."""

    nearest: Nearest
    outcome: int
    weight: float = 1.0


class Labelled(NamedTuple):
    """A query whose right route is known.

    Attributes:
        nearest: its nearest route; None where nothing was compared.
        without: the nearest one but the right one; None where there is no other.
        label: the position of the right route; -1 for none.
    """

    nearest: Nearest | None
    without: Nearest | None
    label: int


class Learned(NamedTuple):
    """What was fitted: the weights, and the threshold of every route, ``(routes,)``."""

    weights: OutcomeWeights
    thresholds: Floats


def lacking(labels: Sequence[int]) -> float:
    """How many out-of-scope queries are missing among labelled ones; a label of -1 is one."""
    inside = sum(label >= 0 for label in labels)
    return max(0.0, OUTSIDE * inside - (len(labels) - inside))


def examples(labelled: Sequence[Labelled], everyday: Sequence[Nearest | None]) -> Iterator[Example]:
    """What is learned from.

    Args:
        labelled: queries whose right route is known.
        everyday: the nearest route of each everyday query; None where nothing was compared.
    """
    labels = [each.label for each in labelled]
    missing, inside = lacking(labels), sum(label >= 0 for label in labels)
    for nearest, without, label in labelled:
        if nearest is not None:
            yield Example(nearest, NONE if label < 0 else RIGHT if nearest.route == label else OTHER)
        if missing and label >= 0 and without is not None:
            yield Example(without, NONE, LEFT_OUT * missing / inside)
    for nearest in everyday:
        if missing and nearest is not None:
            yield Example(nearest, NONE, missing / len(everyday))


def fit_outcomes(
    given: Sequence[Example],
    routes: int,
    threshold: float,
    weights: OutcomeWeights = DEFAULT_WEIGHTS,
) -> Learned:
    """The weights and thresholds that are most probable after the examples (maximum a posteriori).

    Before them, the weights are normally distributed around those to start with, so that few examples change little.
    The thresholds of routes differ from a common one. Cosines count in units of their spread, which is smaller for some
    models than for others.

    Args:
        given: the examples.
        routes: how many routes there are.
        threshold: the threshold to start with.
        weights: the weights to start with.
    """
    if not given:
        return Learned(weights, np.full(routes, threshold))
    problem = _Problem.of(given, routes, threshold, weights)
    found = minimize(problem.loss, problem.start, jac=True, method="L-BFGS-B", bounds=problem.bounds())
    return problem.learned(found.x)


class _Problem(NamedTuple):
    """What the loss is made from: ``n`` examples, and the parameters to start with.

    The parameters are first those of the nearest route: the weight of its score, the constant, and how much an
    impossible domain and a certain ``general`` take away; then those of another route, the constant first; then what is
    taken away for each route.

    Attributes:
        features: score and lead in units of the spread, and both probabilities, ``(n, 4)``.
        mean: of the scores, which was taken from them before.
        scale: what cosines were multiplied by.
        chosen: the nearest routes, ``(n,)``.
        wanted: 1 for what came of them, ``(n, outcomes)``.
        weights: of the examples, ``(n,)``.
        start: the parameters to start with, ``(p,)``.
        precision: how much each of them is held there, ``(p,)``.
    """

    features: Floats
    mean: float
    scale: float
    chosen: Ints
    wanted: Floats
    weights: Floats
    start: Floats
    precision: Floats

    @classmethod
    def of(cls, given: Sequence[Example], routes: int, threshold: float, weights: OutcomeWeights) -> _Problem:
        table, counts = features([each.nearest for each in given]), np.array([each.weight for each in given])
        mean, spread = _mean_and_spread(table[:, 0] / 10, counts)
        scale = 10 * SPREAD / spread
        table[:, 0] -= 10 * mean
        table[:, :2] *= scale / 10
        sharp, (constant, of_score, *others) = weights.sharpness, weights.other
        right = [sharp / 10, sharp * scale / 10 * (mean - threshold), sharp * weights.domain, sharp * weights.general]
        other = [constant + of_score * scale * mean, of_score, *others]
        return cls(
            table,
            mean,
            scale,
            np.array([each.nearest.route for each in given], dtype=np.int64),
            np.eye(len(Outcome._fields))[[each.outcome for each in given]],
            counts,
            np.concatenate([right, other, np.zeros(routes)]),
            np.concatenate([HELD, np.ones(routes)]),
        )

    def loss(self, parameters: Floats) -> tuple[float, Floats]:
        """The negative logarithm of the probability, and its gradient."""
        ones = np.ones(len(self.features))
        of_right = np.stack([self.features[:, 0], ones, self.features[:, 2] - 1, -self.features[:, 3]], axis=1)
        of_other = np.column_stack([ones, self.features])
        right = of_right @ parameters[:4] - parameters[9:][self.chosen]
        probable = softmax(np.stack([np.zeros(len(right)), of_other @ parameters[4:9], right], axis=1))
        likelihood = self.weights @ np.log(np.maximum((probable * self.wanted).sum(axis=1), 1e-300))
        error = self.weights[:, None] * (probable - self.wanted)
        by_route = np.bincount(self.chosen, error[:, RIGHT], minlength=len(parameters) - 9)
        held = self.precision * (parameters - self.start)
        gradient = np.concatenate([error[:, RIGHT] @ of_right, error[:, OTHER] @ of_other, -by_route])
        return float(held @ (parameters - self.start) / 2 - likelihood), gradient + held

    def bounds(self) -> list[tuple[float | None, float | None]]:
        """A higher score is better, doubt is not."""
        return [(0.05, None), (None, None), (0, None), (0, None), *[(None, None)] * (len(self.start) - 4)]

    def learned(self, parameters: Floats) -> Learned:
        """What the parameters mean for cosines."""
        score, constant, domain, general = parameters[:4].tolist()
        sharp, (of_mean, of_score, lead, *others) = score * self.scale, parameters[4:9].tolist()
        constant_of_other = of_mean - of_score * self.scale * self.mean
        other = (constant_of_other, of_score * self.scale / 10, lead * self.scale / 10, *others)
        weights = OutcomeWeights(sharpness=sharp, domain=domain / sharp, general=general / sharp, other=other)
        return Learned(weights, np.clip(self.mean + (parameters[9:] - constant) / sharp, -1, 1))


def _mean_and_spread(scores: Floats, weights: Floats) -> tuple[float, float]:
    """The mean and the standard deviation of scores; of few, the latter is nearer to that of the default weights."""
    mean = float(np.average(scores, weights=weights))
    variance = np.append((scores - mean) ** 2, SPREAD**2)
    return mean, max(float(np.sqrt(np.average(variance, weights=np.append(weights, FEW)))), 1e-3)
