"""What a log says about the routes of a router: which one is right for a query, and which are wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from registry.texts.words import near_key
from router_plugin.errors import ImprovementError
from router_plugin.improving.options import ImproveOptions
from router_plugin.routes import Route

if TYPE_CHECKING:
    from training.sources.logs import JudgedText

T = TypeVar("T")

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

NONE, UNKNOWN = -1, -2
"""Labels of queries for which no route is right, and of those whose right route is not known."""
MAX_CELLS = 20_000_000
"""The largest number of queries times routes, whose scores are held in memory: 160 MB."""
MAX_UNJUDGED = 4000
"""Queries without a right route that are used at most; the distances between them take 128 MB."""
SHOWN = 5
"""Routes that a note names."""


@dataclass(frozen=True)
class Judged:
    """Queries with feedback.

    Attributes:
        texts: ``n`` of them.
        labels: the position of the right route, :data:`NONE` or :data:`UNKNOWN`, ``(n,)``.
        rejected: by the number of a query whose right route is not known, the positions of wrong ones.
        groups: a number for each query; near-duplicates share one, ``(n,)``.
    """

    texts: list[str]
    labels: Ints
    rejected: dict[int, frozenset[int]]
    groups: Ints

    def right(self, chosen: Ints) -> Bools:
        """Whether each query got its right route, or where that is not known, none that is wrong.

        Args:
            chosen: the position of each query's route, -1 for none, ``(n,)``.
        """
        found: Bools = chosen == self.labels
        for row, wrong in self.rejected.items():
            found[row] = int(chosen[row]) not in wrong
        return found


@dataclass(frozen=True)
class Log:
    """A log as it is used.

    Attributes:
        judged: queries with feedback that are no utterances.
        unjudged: texts of which it is not known which route is right, and those for which none is.
        corrections: how many texts were corrected from one route to another one, by name.
        notes: what was left out.
    """

    judged: Judged
    unjudged: list[str]
    corrections: Counter[tuple[str, str]]
    notes: list[str]


def read_log(texts: Sequence[JudgedText], routes: Sequence[Route], options: ImproveOptions) -> Log:
    """A log in terms of the routes there are.

    Texts that are utterances but for punctuation are left out, as they tell nothing about others; and those whose right
    route is not among the routes.

    Raises:
        ImprovementError: no right route of the log is among the routes.
    """
    positions = {route.name: number for number, route in enumerate(routes)} | {"": NONE}
    utterances = {near_key(text) for route in routes for text in route.utterances}
    draw = np.random.default_rng(options.seed)
    new = [each for each in texts if near_key(each.text) not in utterances]
    known = [each for each in new if each.label is None or each.label in positions]
    notes = _missing(texts, positions, routes)
    if left := len(texts) - len(new):
        notes.append(f"{left} of {len(texts)} texts are utterances and are left out")
    judged = [each for each in known if each.label is not None or each.rejected & positions.keys()]
    used = _sample(judged, min(options.max_queries, max(1, MAX_CELLS // len(routes))), draw, "queries", notes)
    unjudged = [each.text for each in new if not each.label]
    return Log(
        _positioned(used, positions),
        _sample(unjudged, min(options.max_queries, MAX_UNJUDGED), draw, "queries without a right route", notes),
        Counter(pair for each in texts for pair in set(each.corrections)),
        notes,
    )


def _missing(texts: Sequence[JudgedText], positions: dict[str, int], routes: Sequence[Route]) -> list[str]:
    """A note on right routes that are not among the routes, if there are any."""
    labels = Counter(each.label for each in texts if each.label)
    missing = {name: count for name, count in labels.items() if name not in positions}
    if missing and len(missing) == len(labels):
        raise ImprovementError(
            f"no right route of the log is among the routes: the log has {_listed(missing)}, the routes are "
            f"{_listed(route.name for route in routes)}: name the routes file that the router had"
        )
    if not missing:
        return []
    return [f"{sum(missing.values())} texts are left out, whose right route is unknown: {_listed(missing)}"]


def _listed(names: Iterable[str]) -> str:
    found = sorted(names)
    return ", ".join(found[:SHOWN]) + (", ..." if len(found) > SHOWN else "")


def _sample(texts: list[T], limit: int, draw: np.random.Generator, what: str, notes: list[str]) -> list[T]:
    """At most ``limit`` of the texts, in their order; a note says if there were more."""
    if len(texts) <= limit:
        return texts
    notes.append(f"of {len(texts)} {what}, a sample of {limit} is used")
    return [texts[row] for row in np.sort(draw.choice(len(texts), limit, replace=False)).tolist()]


def _positioned(texts: Sequence[JudgedText], positions: dict[str, int]) -> Judged:
    from training.splitting.near_duplicates import near_duplicates

    labels = [UNKNOWN if each.label is None else positions[each.label] for each in texts]
    rejected = {
        row: frozenset(positions[name] for name in each.rejected if name in positions)
        for row, each in enumerate(texts)
        if each.label is None
    }
    names = [each.text for each in texts]
    return Judged(names, np.array(labels, dtype=np.int64), rejected, near_duplicates(names))
