"""The steps of a move: fill, compare, and write to both sides meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from router_plugin.errors import ReindexError
from router_plugin.reindexing.index import Embedder, Index, Item

BATCH = 64
PASSES = 20
"""Looks at what waits before a backfill gives up: others write faster than it embeds."""


def backfill(
    index: Index, embedder: Embedder, batch: int = BATCH, progress: Callable[[int, int], None] = lambda done, of: None
) -> int:
    """Make the vectors of a model beside those that serve; goes on where an earlier call ended, however it did.

    Args:
        index: to be moved. What it serves stays as it is.
        embedder: the next model.
        batch: texts that are embedded at a time.
        progress: called with the number of entries that are done, and of all.

    Returns:
        The number of vectors that were made.

    Raises:
        ReindexError: another move is under way, an entry has no text, or others write faster than this.
    """
    index.prepare(embedder.model, embedder.dimension)
    state = index.state()
    made, done = 0, state.items - (state.missing or 0)
    progress(max(done, 0), state.items)
    for _ in range(PASSES):
        found = 0
        for items in index.waiting(batch):
            index.write(items, embedder.documents([item.text for item in items]))
            found += len(items)
            progress(min(done + made + found, state.items), state.items)
        made += found
        if not found:
            index.complete()
            return made
    raise ReindexError(f"entries are written faster than they are embedded: {PASSES} passes all found new ones")


@dataclass(frozen=True)
class Difference:
    """A query whose results differ most.

    Attributes:
        query: text.
        overlap: of its results, 0 to 1.
        serving: texts that the serving vectors find and the next ones do not.
        next: the other way round.
    """

    query: str
    overlap: float
    serving: list[str]
    next: list[str]


@dataclass(frozen=True)
class Comparison:
    """What queries find by the vectors that serve, and by the next ones.

    Attributes:
        queries: their number.
        k: results of each.
        overlap: mean fraction of results that both have.
        judged: queries with known right answers.
        recall: mean fraction of the right answers among the results, by side; None where nothing is judged.
        differences: the queries with the lowest overlap.
    """

    queries: int
    k: int
    overlap: float
    judged: int
    recall: dict[str, float] | None
    differences: list[Difference]


def compare(
    index: Index,
    serving: Embedder,
    upcoming: Embedder,
    queries: Sequence[str],
    relevant: Mapping[str, Collection[Any]] | None = None,
    k: int = 10,
    shown: int = 5,
) -> Comparison:
    """Ask both sides the same queries.

    Args:
        index: with a move under way.
        serving: the model whose vectors serve.
        upcoming: the next one.
        queries: texts.
        relevant: of some queries the ids of the right answers.
        k: results to compare.
        shown: number of differences to show.

    Raises:
        ReindexError: no move to that model is under way, or there is no query.
    """
    if (under_way := index.state().next) != upcoming.model:
        raise ReindexError(f"a move to {upcoming.model} is to be compared, but under way is {under_way or 'none'}")
    if not queries:
        raise ReindexError("there is no query to compare with")
    known, differences = relevant or {}, []
    recall: dict[str, list[float]] = {"serving": [], "next": []}
    for query, old, new in zip(queries, serving.queries(queries), upcoming.queries(queries), strict=True):
        found = {"serving": index.search(old, k, upcoming=False), "next": index.search(new, k, upcoming=True)}
        ids = {side: {each.id for each in results} for side, results in found.items()}
        both = ids["serving"] & ids["next"]
        only = {side: [each.text for each in results if each.id not in both] for side, results in found.items()}
        longest = max(map(len, ids.values()))
        overlap = len(both) / longest if longest else 1.0
        differences.append(Difference(query, overlap, only["serving"], only["next"]))
        if right := {str(each) for each in known.get(query, ())}:
            for side, results in ids.items():
                recall[side].append(len(right & set(map(str, results))) / len(right))
    judged = len(recall["next"])
    return Comparison(
        queries=len(queries),
        k=k,
        overlap=float(np.mean([each.overlap for each in differences])),
        judged=judged,
        recall={side: float(np.mean(values)) for side, values in recall.items()} if judged else None,
        differences=sorted((each for each in differences if each.overlap < 1), key=lambda each: each.overlap)[:shown],
    )


class DualWriter:
    """Writes entries with the vectors of both models while a move is under way, and until it is finished."""

    def __init__(self, index: Index, serving: Embedder, upcoming: Embedder) -> None:
        """
        Args:
            index: before, during or after the cutover.
            serving: the model whose vectors serve before the cutover.
            upcoming: the one whose vectors do afterwards.
        """
        self._index, self._serving, self._upcoming = index, serving, upcoming

    def write(self, items: Sequence[Item]) -> None:
        """Add entries, or replace those with the same ids."""
        texts = [item.text for item in items]
        if not texts:
            return
        old, new = self._serving.documents(texts), self._upcoming.documents(texts)
        self._index.upsert(items, {self._serving.model: old, self._upcoming.model: new}, old)

    def remove(self, ids: Sequence[Any]) -> None:
        """Remove entries."""
        self._index.delete(ids)
