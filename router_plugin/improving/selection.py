"""Chooses logged queries as new utterances: those that make more other queries right than wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from router_plugin.cosines import Floats, reaches
from router_plugin.improving.judged import NONE, Bools, Ints, Judged
from router_plugin.improving.simulation import Simulation

MAX_TRIED = 100
"""Queries that are tried as utterances of a route; of more, a sample is drawn."""
MIN_GAIN = 1
"""Queries that a new utterance makes right, less those that it makes wrong, at least."""


class Choice(NamedTuple):
    """A query that becomes an utterance.

    Attributes:
        route: position of its route.
        row: number of the query.
        mends: how many other queries are right with it and wrong without it, given all other choices.
        breaks: the reverse.
    """

    route: int
    row: int
    mends: int
    breaks: int


def choose_utterances(
    simulation: Simulation, judged: Judged, counted: Bools, limit: int, draw: np.random.Generator
) -> list[Choice]:
    """Queries that are missed today and would be good utterances of their right route, with today's thresholds.

    Routes with the most missed queries come first. For each, the query with the largest gain is chosen until none gains
    :data:`MIN_GAIN` (greedy forward selection). A query's own near-duplicates never count for it. At the end, choices
    that the later ones made useless are dropped.

    Args:
        simulation: of the queries.
        judged: the queries.
        counted: which of them may be chosen, and count, ``(n,)``.
        limit: of choices for a route.
        draw: draws the sample of those that are tried.
    """
    search = _Search(simulation, judged, counted)
    missed = search.missed()
    routes, counts = np.unique(judged.labels[missed], return_counts=True)
    for route in routes[np.argsort(-counts, kind="stable")].tolist():
        search.grow(route, _sample(np.flatnonzero(missed & (judged.labels == route)), draw), limit)
    return search.useful()


def with_choices(simulation: Simulation, choices: Sequence[Choice]) -> Floats:
    """The scores of all queries if the choices were utterances, ``(n, routes)``."""
    scores: Floats = simulation.scores.copy()
    for route in {each.route for each in choices}:
        scores[:, route] = simulation.column(route, [each.row for each in choices if each.route == route])
    return scores


def without_choices(judged: Judged, counted: Bools, choices: Sequence[Choice]) -> Bools:
    """The queries that count, without the choices and their near-duplicates, ``(n,)``."""
    return counted & ~np.isin(judged.groups, judged.groups[[each.row for each in choices]])


def _sample(rows: Ints, draw: np.random.Generator) -> list[int]:
    if len(rows) > MAX_TRIED:
        rows = np.sort(draw.choice(rows, MAX_TRIED, replace=False))
    found: list[int] = rows.tolist()
    return found


class _Search:
    """The choices so far."""

    def __init__(self, simulation: Simulation, judged: Judged, counted: Bools) -> None:
        self._simulation, self._judged, self._counted = simulation, judged, counted
        self._chosen: dict[int, list[int]] = {}
        self._accepted: Floats = np.full(simulation.scores.shape, -np.inf)
        for route in range(len(simulation.thresholds)):
            self._set(route, simulation.scores[:, route])

    def missed(self) -> Bools:
        """The queries that count and do not get their right route, ``(n,)``."""
        best = self._accepted.argmax(axis=1)
        right = (best == self._judged.labels) & np.isfinite(self._accepted[np.arange(len(best)), best])
        found: Bools = self._counted & (self._judged.labels >= 0) & ~right
        return found

    def grow(self, route: int, tried: list[int], limit: int) -> None:
        """Choose utterances of a route, at most ``limit``."""
        chosen, groups = self._chosen.setdefault(route, []), self._judged.groups
        spent = {int(groups[row]) for row in self._all_chosen()}
        tried = [row for row in tried if groups[row] not in spent]
        rivals = self._rivals(route)
        while tried and len(chosen) < limit:
            mends, breaks = self._changes(rivals, chosen, tried)
            best = int((mends - breaks).argmax())
            if mends[best] - breaks[best] < MIN_GAIN:
                break
            chosen.append(tried[best])
            tried = [row for row in tried if groups[row] != groups[tried[best]]]
        self._set(route, self._simulation.column(route, chosen))

    def useful(self) -> list[Choice]:
        """The choices that mend more than they break, given the others."""
        found = []
        for route, chosen in self._chosen.items():
            rivals = self._rivals(route)
            for row in tuple(chosen):
                others = [other for other in chosen if other != row]
                mends, breaks = self._changes(rivals, others, [row])
                if mends[0] > breaks[0]:
                    found.append(Choice(route, row, int(mends[0]), int(breaks[0])))
                else:
                    chosen.remove(row)
            self._set(route, self._simulation.column(route, chosen))
        return found

    def _all_chosen(self) -> list[int]:
        return [row for rows in self._chosen.values() for row in rows]

    def _set(self, route: int, column: Floats) -> None:
        enough = np.isfinite(column) & reaches(column, self._simulation.minimums[:, route])
        self._accepted[:, route] = np.where(enough, column, -np.inf)

    def _rivals(self, route: int) -> _Rivals:
        """What the queries that may take a route get without it."""
        rows = self._simulation.rows_of(route)
        rows = rows[self._counted[rows]]
        others = self._accepted[rows]
        others[:, route] = -np.inf
        best = others.argmax(axis=1)
        scores = others[np.arange(len(rows)), best]
        chosen = np.where(np.isfinite(scores), best, NONE)
        return _Rivals(
            route, rows, chosen, scores, self._right(rows, chosen), self._right(rows, np.full(len(rows), route))
        )

    def _changes(self, rivals: _Rivals, chosen: Sequence[int], tried: Sequence[int]) -> tuple[Ints, Ints]:
        """How many queries each of the tried ones makes right, and wrong, as one more utterance."""
        groups = self._judged.groups
        minimums = self._simulation.minimums[rivals.rows, rivals.route]
        now = rivals.right_with(self._simulation.column(rivals.route, chosen)[rivals.rows, None], minimums)
        then = rivals.right_with(self._simulation.columns(rivals.route, chosen, tried)[rivals.rows], minimums)
        spent = groups[[row for row in self._all_chosen() if row not in tried]]
        counted = ~np.isin(groups[rivals.rows], spent)[:, None] & (groups[rivals.rows, None] != groups[list(tried)])
        return (then & ~now & counted).sum(axis=0), (now & ~then & counted).sum(axis=0)

    def _right(self, rows: Ints, chosen: Ints) -> Bools:
        """Whether some queries are right with the routes that are chosen for them."""
        everywhere = np.full(len(self._accepted), NONE)
        everywhere[rows] = chosen
        return self._judged.right(everywhere)[rows]


class _Rivals(NamedTuple):
    """What the queries that may take a route get without it.

    Attributes:
        route: position of the route.
        rows: numbers of the queries, ``(r,)``.
        chosen: position of the route that each of them gets, -1 for none.
        scores: of that route, minus infinity for none.
        right: whether that is right.
        right_with_route: whether the route in question is.
    """

    route: int
    rows: Ints
    chosen: Ints
    scores: Floats
    right: Bools
    right_with_route: Bools

    def right_with(self, columns: Floats, minimums: Floats) -> Bools:
        """Whether each query is right if its score with the route is that of a column, ``(r, columns)``.

        Args:
            columns: scores, ``(r, columns)``.
            minimums: the minimum score of each query, ``(r,)``.
        """
        scores, chosen = self.scores[:, None], self.chosen[:, None]
        first = (columns > scores) | ((columns == scores) & (self.route < chosen))
        wins = np.isfinite(columns) & reaches(columns, minimums[:, None]) & first
        found: Bools = np.where(wins, self.right_with_route[:, None], self.right[:, None])
        return found
