"""Which routes are taken for each other, and what a change does to decisions about labelled queries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from registry.pages.charts import Shaded
from router_plugin.decision import NO_ROUTE, Decision

DARKEST = 50
"""Percent of colour of a cell that has all queries of its row."""


@dataclass(frozen=True)
class Confusions:
    """The routes that are confused most often.

    Attributes:
        routes: their names, the most often confused first; ``none`` stands for no route.
        counts: of queries, a row for each right route and a column for each chosen one, both in that order.
        mistakes: queries that got a wrong route, those of other routes included.
        others: confused routes that are left out.
    """

    routes: list[str]
    counts: list[list[int]]
    mistakes: int
    others: int


def confusions(labels: Sequence[str | None], decisions: Sequence[Decision], limit: int) -> Confusions:
    """Count which routes queries got in place of their right ones.

    Args:
        labels: of each query the right route, None for no route.
        decisions: of each query.
        limit: the maximum number of routes.
    """
    pairs = Counter((label or NO_ROUTE, each.route or NO_ROUTE) for label, each in zip(labels, decisions, strict=True))
    confused: Counter[str] = Counter()
    for (label, chosen), count in pairs.items():
        if label != chosen:
            confused[label] += count
            confused[chosen] += count
    routes = [name for name, _ in sorted(confused.items(), key=lambda each: (-each[1], each[0]))]
    shown = routes[:limit]
    counts = [[pairs[label, chosen] for chosen in shown] for label in shown]
    return Confusions(shown, counts, confused.total() // 2, len(routes) - len(shown))


def confusion_rows(names: Sequence[str], counts: Sequence[Sequence[int]]) -> list[tuple[str, list[Shaded]]]:
    """The rows of a table of confusions, each cell as dark as its part of the row; right ones are on the diagonal."""

    def cell(count: int, of_row: int, *, right: bool) -> Shaded:
        return Shaded(str(count or ""), "good" if right else "bad", DARKEST * count / of_row if count else 0)

    return [
        (name, [cell(count, sum(row), right=column == number) for column, count in enumerate(row)])
        for number, (name, row) in enumerate(zip(names, counts, strict=True))
    ]


@dataclass(frozen=True)
class ChangedDecision:
    """A query that gets another route than before; None stands for no route."""

    query: str
    right: str | None
    before: str | None
    after: str | None

    @property
    def mended(self) -> bool:
        """Whether it is right now."""
        return self.after == self.right

    @property
    def broken(self) -> bool:
        """Whether it was right before."""
        return self.before == self.right


@dataclass(frozen=True)
class Effect:
    """What a change does.

    Attributes:
        queries: that were decided with and without it.
        before: how many were right without it.
        after: how many are right with it.
        changed: queries that get another route, the broken ones first, then the mended ones.
    """

    queries: int
    before: int
    after: int
    changed: list[ChangedDecision]


def effect(labels: Sequence[str | None], before: Sequence[Decision], after: Sequence[Decision]) -> Effect:
    """Compare decisions about the same queries without and with a change."""
    changed = [
        ChangedDecision(old.query, label, old.route, new.route)
        for label, old, new in zip(labels, before, after, strict=True)
        if old.route != new.route
    ]
    changed.sort(key=lambda each: (not each.broken, not each.mended))
    return Effect(len(labels), _right(labels, before), _right(labels, after), changed)


def _right(labels: Sequence[str | None], decisions: Sequence[Decision]) -> int:
    return sum(each.route == label for label, each in zip(labels, decisions, strict=True))
