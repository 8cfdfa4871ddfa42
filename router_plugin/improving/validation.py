"""Cross-validation of what a log proposes: what it would have been worth on queries that it was not made from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from registry.progress import track
from router_plugin.cosines import Floats
from router_plugin.evaluation.outcomes import Nearest, OutcomeWeights
from router_plugin.improving.judged import NONE, UNKNOWN, Bools, Ints, Judged
from router_plugin.improving.options import ImproveOptions
from router_plugin.improving.selection import Choice, choose_utterances, with_choices, without_choices
from router_plugin.improving.simulation import Simulation, decide
from router_plugin.tuning.fitting import Labelled, examples, fit_outcomes

DECIMALS = 4
"""Of a proposed threshold."""
LEVEL = 0.05
"""Probability by which something is proposed at most, though none of the variants is better than today's routes."""

Variant = Literal["thresholds", "utterances", "utterances and thresholds"]
VARIANTS: tuple[Variant, ...] = ("thresholds", "utterances", "utterances and thresholds")
"""What may be proposed; of equally good ones the first."""
TODAY: Literal["today"] = "today"


@dataclass(frozen=True)
class Figures:
    """How held-out queries are routed.

    Attributes:
        variant: by what routes.
        queries: with feedback.
        right: how many of them got their right route, or correctly none, or where only a wrong one is known, not that.
        in_scope: queries whose right route is known.
        in_scope_right: how many of them got it.
        out_of_scope: queries for which no route is right.
        out_of_scope_right: how many of them got none.
        mended: queries that are right, and are wrong today.
        broken: the reverse.
        p_value: of the two-sided exact test of McNemar, 1947, whether as many are mended as broken, multiplied by the
            number of variants (Bonferroni).
    """

    variant: Variant | Literal["today"]
    queries: int
    right: int
    in_scope: int
    in_scope_right: int
    out_of_scope: int
    out_of_scope_right: int
    mended: int
    broken: int
    p_value: float

    @property
    def better(self) -> bool:
        """Whether more queries are right than today, by more than chance allows."""
        return self.mended > self.broken and self.p_value <= LEVEL


class Learner:
    """Makes proposals from some of the queries of a log."""

    def __init__(
        self,
        simulation: Simulation,
        judged: Judged,
        options: ImproveOptions,
        everyday: Sequence[Nearest | None] = (),
    ) -> None:
        """
        Args:
            simulation: of the queries.
            judged: the queries.
            options: for improving.
            everyday: the nearest route of each of some everyday queries.
        """
        self._simulation, self._judged, self._options = simulation, judged, options
        self._everyday = everyday

    def choices(self, counted: Bools) -> list[Choice]:
        """New utterances."""
        draw = np.random.default_rng(self._options.seed)
        return choose_utterances(self._simulation, self._judged, counted, self._options.per_route, draw)

    def thresholds(self, counted: Bools, choices: Sequence[Choice]) -> Floats:
        """Thresholds for the routes with new utterances, ``(routes,)``; those of routes without a query stay.

        Queries that become utterances do not count, nor those whose right route is not known.
        """
        simulation, judged = self._simulation, self._judged
        scores = with_choices(simulation, choices)
        rows = np.flatnonzero(without_choices(judged, counted, choices) & (judged.labels != UNKNOWN))
        labelled = [self._labelled(row, scores[row]) for row in rows.tolist()]
        state, today = simulation.state, simulation.thresholds
        given = [
            each._replace(nearest=_without_doubt(each.nearest, state.fitted.weights))
            for each in examples(labelled, self._everyday)
        ]
        learned = fit_outcomes(given, len(today), state.threshold, state.fitted.weights)
        known = np.isin(np.arange(len(today)), judged.labels[rows])
        return np.where(known, learned.thresholds.round(DECIMALS), today)

    def _labelled(self, row: int, scores: Floats) -> Labelled:
        label = int(self._judged.labels[row])
        others = np.where(np.arange(len(scores)) == label, -np.inf, scores)
        return Labelled(self._simulation.nearest(row, scores), self._simulation.nearest(row, others), label)


def _without_doubt(nearest: Nearest, weights: OutcomeWeights) -> Nearest:
    """A route whose domain is certain, with a score that exceeds its threshold by as much."""
    doubt = float(weights.doubt(nearest.domain, nearest.general))
    return nearest._replace(score=nearest.score - doubt, next_score=nearest.next_score - doubt, domain=1, general=0)


def cross_validated(simulation: Simulation, judged: Judged, options: ImproveOptions, learner: Learner) -> list[Figures]:
    """Figures of today's routes, and of all variants.

    The queries of each part are routed by what was learned from the other parts. Near-duplicates are in one part.

    Args:
        simulation: of the queries.
        judged: the queries, of at least as many groups as there are folds.
        options: for improving.
        learner: from these queries.
    """
    decisions: dict[Variant, Ints] = {name: np.full(len(judged.texts), NONE) for name in VARIANTS}
    for held_out in track(folds(judged, options), "cross-validating", options.folds):
        choices = learner.choices(~held_out)
        scores = with_choices(simulation, choices)
        learned: dict[Variant, tuple[Floats, Floats]] = {
            "thresholds": (simulation.scores, learner.thresholds(~held_out, [])),
            "utterances": (scores, simulation.thresholds),
            "utterances and thresholds": (scores, learner.thresholds(~held_out, choices)),
        }
        for name, (found, thresholds) in learned.items():
            decisions[name][held_out] = decide(found[held_out], simulation.minimums_with(thresholds)[held_out])
    today = decide(simulation.scores, simulation.minimums)
    return [
        _figures(TODAY, judged, today, today),
        *(_figures(name, judged, decisions[name], today) for name in VARIANTS),
    ]


def folds(judged: Judged, options: ImproveOptions) -> Iterator[Bools]:
    """Of each fold the queries that are held out, ``(n,)``. Every route's queries are spread over all of them."""
    groups, first = np.unique(judged.groups, return_index=True)
    order = np.random.default_rng(options.seed).permutation(len(groups))
    order = order[np.argsort(judged.labels[first][order], kind="stable")]
    fold = np.empty(len(groups), dtype=np.int64)
    fold[order] = np.arange(len(groups)) % options.folds
    of_query = fold[np.searchsorted(groups, judged.groups)]
    for number in range(options.folds):
        yield of_query == number


def best_variant(figures: Sequence[Figures]) -> Variant | None:
    """The variant with which most queries are right; None if even that is not better than today's routes."""
    tried = [each for each in figures if each.variant != TODAY]
    best = max(tried, key=lambda each: each.right)
    return best.variant if best.better and best.variant != TODAY else None


def _figures(name: Variant | Literal["today"], judged: Judged, chosen: Ints, today: Ints) -> Figures:
    from scipy.stats import binomtest

    right, before = judged.right(chosen), judged.right(today)
    inside, outside = judged.labels >= 0, judged.labels == NONE
    mended, broken = int((right & ~before).sum()), int((before & ~right).sum())
    p_value = binomtest(mended, mended + broken).pvalue if mended + broken else 1.0
    return Figures(
        variant=name,
        queries=len(right),
        right=int(right.sum()),
        in_scope=int(inside.sum()),
        in_scope_right=int((right & inside).sum()),
        out_of_scope=int(outside.sum()),
        out_of_scope_right=int((right & outside).sum()),
        mended=mended,
        broken=broken,
        p_value=min(1.0, float(p_value) * len(VARIANTS)),
    )
