"""Proposes better routes from a router's log with feedback, with figures from cross-validation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from registry.paths import PathLike
from router_plugin.cosines import TOLERANCE, Floats
from router_plugin.improving.judged import Judged, read_log
from router_plugin.improving.new_domains import NewDomain, new_domains
from router_plugin.improving.options import ImproveOptions
from router_plugin.improving.selection import Choice
from router_plugin.improving.simulation import Simulation
from router_plugin.improving.structure import Merge, Split, find_merges, find_splits
from router_plugin.improving.validation import (
    LEVEL,
    Figures,
    Learner,
    Variant,
    best_variant,
    cross_validated,
)
from router_plugin.router import DomainRouter
from router_plugin.routes import Route
from router_plugin.tuning.tuner import everyday_nearest

if TYPE_CHECKING:
    from training.sources.logs import JudgedText

MIN_GROUPS = 4
"""Different queries for each fold, at least."""
MIN_OUTSIDE = 20
"""Out-of-scope queries without which nothing can be said about them."""


@dataclass(frozen=True)
class NewUtterance:
    """A query of the log that becomes an utterance.

    Attributes:
        route: whose utterance.
        text: the query.
        mends: how many other queries of the log are right with it and wrong without it.
        breaks: the reverse.
    """

    route: str
    text: str
    mends: int
    breaks: int


@dataclass(frozen=True)
class NewThreshold:
    """A route's threshold today, None for the router's, and the proposed one."""

    route: str
    today: float | None
    proposed: float


@dataclass(frozen=True)
class Proposal:
    """What would improve a router's routes.

    Attributes:
        routes: with the proposed utterances and thresholds; those of today where nothing is proposed.
        utterances: that are new.
        thresholds: that change.
        figures: of today's routes and of what might be proposed, from cross-validation; empty for too small a log.
        variant: which of these is proposed; None if none is better than today's routes by more than chance.
        splits: routes whose queries are of two kinds.
        merges: pairs of routes that users take for one.
        new_domains: clusters of queries that no domain claims.
        notes: what was left out, and what cannot be concluded.
    """

    routes: tuple[Route, ...]
    utterances: list[NewUtterance] = field(default_factory=list)
    thresholds: list[NewThreshold] = field(default_factory=list)
    figures: list[Figures] = field(default_factory=list)
    variant: Variant | None = None
    splits: list[Split] = field(default_factory=list)
    merges: list[Merge] = field(default_factory=list)
    new_domains: list[NewDomain] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """All but the routes, as JSON can hold it."""
        return {name: value for name, value in asdict(self).items() if name != "routes"}


def improve_routes(
    router: DomainRouter, log: PathLike | Sequence[JudgedText], options: ImproveOptions | None = None
) -> Proposal:
    """Propose new utterances and thresholds for a router's routes, routes to split or merge, and new domains.

    Utterances and thresholds are proposed only if held-out queries of the log are routed better with them, by more than
    chance; see :func:`router_plugin.improving.validation.cross_validated`.

    Args:
        router: as it serves; it is not changed.
        log: a file that :func:`training.read_logs` reads, or what :func:`training.read_judged_texts` returns.
        options: by default the default ones.

    Raises:
        SourceError: the log cannot be read, or has no feedback.
        ImprovementError: no right route of the log is among the router's.
        PluginError: a plugin failed.
    """
    from training.sources.logs import read_judged_texts

    options = options or ImproveOptions()
    texts = log if isinstance(log, Sequence) and not isinstance(log, str) else read_judged_texts(log)
    state = router.state
    routes = state.served.routes
    read = read_log(texts, routes, options)
    simulation = Simulation(state, read.judged.texts)
    learner = Learner(simulation, read.judged, options, everyday_nearest(state))
    figures, notes = _validated(simulation, read.judged, options, learner)
    variant = best_variant(figures) if figures else None
    choices, thresholds = _learned(learner, read.judged, variant)
    utterances = [
        NewUtterance(routes[each.route].name, read.judged.texts[each.row], each.mends, each.breaks) for each in choices
    ]
    changed = _changed(routes, simulation.thresholds, thresholds)
    known = {route.name for route in routes}
    return Proposal(
        routes=_proposed(routes, utterances, changed),
        utterances=utterances,
        thresholds=changed,
        figures=figures,
        variant=variant,
        splits=find_splits(simulation, read.judged, options),
        merges=find_merges(
            simulation,
            read.judged,
            Counter({pair: count for pair, count in read.corrections.items() if known.issuperset(pair)}),
            Counter(each.label for each in texts if each.label),
        ),
        new_domains=new_domains(Simulation(state, read.unjudged), read.unjudged, options),
        notes=[*read.notes, *notes],
    )


def _validated(
    simulation: Simulation, judged: Judged, options: ImproveOptions, learner: Learner
) -> tuple[list[Figures], list[str]]:
    """Figures from cross-validation, and what cannot be concluded from them."""
    groups = len(np.unique(judged.groups))
    if groups < MIN_GROUPS * options.folds:
        expected = MIN_GROUPS * options.folds
        return [], [
            f"nothing can be concluded from {groups} different queries with feedback: expected at least {expected}, "
            f"{MIN_GROUPS} for each of {options.folds} parts of a cross-validation"
        ]
    figures = cross_validated(simulation, judged, options, learner)
    if best_variant(figures):
        outside = figures[0].out_of_scope
        few = f"the log has only {outside} out-of-scope queries: whether such queries still get no route is not known"
        return figures, [few] if outside < MIN_OUTSIDE else []
    best = max(figures[1:], key=lambda each: each.right)
    return figures, [
        f"no new utterances or thresholds: the best of what was tried ({best.variant}) mends {best.mended} of "
        f"{best.queries} held-out queries and breaks {best.broken}, from which nothing can be concluded "
        f"(p = {best.p_value:.2g}, expected at most {LEVEL})"
    ]


def _learned(learner: Learner, judged: Judged, variant: Variant | None) -> tuple[list[Choice], Floats | None]:
    """New utterances, and thresholds if they change, from all queries."""
    everything = np.ones(len(judged.texts), dtype=bool)
    choices = learner.choices(everything) if variant and "utterances" in variant else []
    return choices, learner.thresholds(everything, choices) if variant and "thresholds" in variant else None


def _changed(routes: Sequence[Route], today: Floats, proposed: Floats | None) -> list[NewThreshold]:
    if proposed is None:
        return []
    rows = np.flatnonzero(np.abs(proposed - today) > TOLERANCE).tolist()
    return [NewThreshold(routes[row].name, routes[row].threshold, float(proposed[row])) for row in rows]


def _proposed(
    routes: Sequence[Route], utterances: Sequence[NewUtterance], thresholds: Sequence[NewThreshold]
) -> tuple[Route, ...]:
    changes: dict[str, dict[str, Any]] = {route.name: {} for route in routes}
    for each in thresholds:
        changes[each.route]["threshold"] = each.proposed
    for route in routes:
        if new := tuple(each.text for each in utterances if each.route == route.name):
            changes[route.name]["utterances"] = (*route.utterances, *new)
    return tuple(route.model_copy(update=changes[route.name]) for route in routes)
