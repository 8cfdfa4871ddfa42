"""The candidates of one encoder: the utterances of routes, embedded, and how near queries are to the routes.

A text that the encoder cannot read has an embedding that means nothing: that of whatever it cannot read. So such a
query or utterance is compared with nothing but the very same text.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from router_plugin.contracts import MOST_UNREAD
from router_plugin.cosines import Floats, rounded
from router_plugin.encoders.sketch import Sketch
from router_plugin.routes import Route
from router_plugin.serving.candidate_store import Embedded, digest_of_key
from router_plugin.serving.texts import same_text
from router_plugin.settings import Aggregation
from router_plugin.utterances import Reading

Matrix = NDArray[np.float32]

NEAR = 0.9
"""A text's cosine with itself is above this on every runtime. It is set to 1, which int8 would miss by some 0.01."""

MANY = 20_000
"""From this number of utterances on, most are not compared exactly where only the decision is wanted."""
_BLOCK = 256
"""Utterances that are compared with all others at a time."""
COMPARED = 1024
"""The utterances with the highest bounds that are compared then."""


class Queries(NamedTuple):
    """``n`` queries as an encoder reads them.

    Attributes:
        vectors: unit vectors, ``(n, d)``.
        texts: of the queries.
        unread: the fraction of each that the encoder does not know.
        keys: see :meth:`router_plugin.contracts.Encoder.key`.
    """

    vectors: Matrix
    texts: Sequence[str]
    unread: Sequence[float]
    keys: Sequence[Hashable]


class BetweenRoutes(NamedTuple):
    """``n`` utterances between routes; cosines are -1 where nothing can be compared.

    Attributes:
        own: cosine with the nearest other utterance of the route, ``(n,)``.
        other: cosine with the nearest utterance of another route, ``(n,)``.
        nearest: the row of that utterance, ``(n,)``.
    """

    own: Floats
    other: Floats
    nearest: NDArray[np.int64]


class Candidates:
    """Routes and their embedded utterances. Never changed.

    Attributes:
        routes: each with at least one utterance.
    """

    def __init__(self, routes: Sequence[Route], utterances: Sequence[Embedded]) -> None:
        """
        Args:
            routes: each with at least one utterance.
            utterances: of all routes, in their order.
        """
        vectors, unread, keys = zip(*utterances, strict=True)
        self._start(routes, np.stack(vectors), list(unread), list(keys))

    def _start(self, routes: Sequence[Route], matrix: Matrix, unread: list[float], keys: list[bytes]) -> None:
        self.routes = tuple(routes)
        self._matrix, self._unread, self._keys = matrix, unread, keys
        self._unreadable = np.flatnonzero(np.array(self._unread) > MOST_UNREAD)
        self._counts = np.array([len(route.utterances) for route in routes], dtype=np.int64)
        self._starts = np.cumsum(self._counts) - self._counts
        self._by_key = positions_of(self._keys)
        self._by_text: dict[Hashable, list[int]] = {}

    @classmethod
    def embedded(
        cls,
        routes: Sequence[Route],
        embed: Callable[[Sequence[str]], Sequence[Embedded]],
        previous: Candidates | None = None,
    ) -> Candidates:
        """Embed routes.

        Args:
            routes: at least one.
            embed: reads texts.
            previous: candidates of the same encoder, whose utterances are not embedded again.
        """
        known = {} if previous is None else {text: row for row, text in enumerate(previous._texts())}
        texts = [text for route in routes for text in route.utterances]
        new = list(dict.fromkeys(text for text in texts if text not in known))
        read = embed(new) if new else []
        before = 0 if previous is None else len(previous._matrix)
        known |= {text: row for row, text in enumerate(new, before)}
        rows = [known[text] for text in texts]
        if previous is None:
            return cls(routes, [read[row] for row in rows])
        vectors = [previous._matrix, *(each.vector[None] for each in read)]
        unread = [*previous._unread, *(each.unread for each in read)]
        keys = [*previous._keys, *(each.key for each in read)]
        made = cls.__new__(cls)
        made._start(routes, np.concatenate(vectors)[rows], [unread[row] for row in rows], [keys[row] for row in rows])
        return made

    def scores(self, queries: Queries, aggregation: Aggregation = "max", top_k: int = 1) -> Floats:
        """The score of every query with every route, ``(n, len(routes))``: cosines over the route's utterances.

        NaN where a query cannot be compared with any utterance of a route.
        """
        cosines, limited = self._cosines(queries)
        if aggregation == "max" or (aggregation == "top-k" and top_k == 1):
            found = np.maximum.reduceat(cosines, self._starts, axis=1)
        elif aggregation == "mean" and not limited:
            found = np.add.reduceat(cosines, self._starts, axis=1) / self._counts
        else:
            nearest = int(self._counts.max()) if aggregation == "mean" else top_k
            found = np.stack([self._mean_of_nearest(row, nearest) for row in cosines])
        return rounded(np.where(np.isfinite(found), found, np.nan) if limited else found)

    def deciding(self, query: Queries) -> tuple[NDArray[np.int64], Floats] | None:
        """The routes that are likely to matter for a decision and their scores with aggregation ``max``, ``(k,)`` each.

        Only the utterances with the highest bounds are compared. That the nearest one is among them is certain if its
        cosine exceeds the other bounds, and nearly so otherwise. None where all had better be compared: there are few,
        or fewer than two routes can be.

        Args:
            query: a single one.
        """
        if len(self._matrix) < MANY or query.unread[0] > MOST_UNREAD:
            return None
        bounds = self._sketch.bounds(query.vectors[0])
        bounds[self._unreadable] = -np.inf
        same = self._by_key.get(digest_of_key(query.keys[0]), [])
        rows = np.union1d(np.argpartition(bounds, -COMPARED)[-COMPARED:], same).astype(np.int64)
        rows = rows[np.isfinite(bounds[rows])]
        cosines = self._matrix[rows] @ query.vectors[0]
        if same and cosines.max(initial=-1) > NEAR:
            cosines[np.isin(rows, same)] = 1
        routes, starts = np.unique(self._owners[rows], return_index=True)
        if len(routes) < min(2, len(self.routes)):
            return None
        return routes, rounded(np.maximum.reduceat(cosines, starts))

    @cached_property
    def _sketch(self) -> Sketch:
        if not len(self._unreadable):
            return Sketch(self._matrix)
        readable = self._matrix.copy()
        readable[self._unreadable] = 0  # some are not finite
        return Sketch(readable)

    @cached_property
    def _owners(self) -> NDArray[np.int64]:
        """The route of each utterance."""
        return np.repeat(np.arange(len(self.routes)), self._counts)

    def prepare(self) -> None:
        """Make what many candidates need, so that no query waits for it."""
        if len(self._matrix) >= MANY:
            _ = self._sketch, self._owners

    def nearest(self, query: Queries, limit: int) -> list[tuple[str, str, float]]:
        """The utterances nearest to a single query, the nearest first: route, utterance, cosine."""
        owner = [(route.name, text) for route in self.routes for text in route.utterances]
        cosines = self._cosines(query)[0][0]
        order = np.argsort(-cosines, kind="stable")[:limit]
        kept = order[np.isfinite(cosines[order])]
        return [(*owner[row], value) for row, value in zip(kept.tolist(), rounded(cosines[kept]).tolist(), strict=True)]

    def between_routes(self, rows: Sequence[int]) -> BetweenRoutes:
        """How near some utterances lie to their own route, and to the nearest other one.

        Args:
            rows: of utterances, in the order of the routes.
        """
        parts = [self._between(np.array(rows[start : start + _BLOCK])) for start in range(0, len(rows), _BLOCK)]
        return BetweenRoutes(*map(np.concatenate, zip(*parts, strict=True)))

    def _between(self, rows: NDArray[np.int64]) -> BetweenRoutes:
        cosines = self._matrix[rows] @ self._matrix.T
        cosines[:, self._unreadable] = -np.inf
        cosines[np.isin(rows, self._unreadable)] = -np.inf
        cosines[np.arange(len(rows)), rows] = -np.inf
        own = np.empty(len(rows), dtype=np.float32)
        for number, owner in enumerate(self._owners[rows].tolist()):
            of_route = slice(self._starts[owner], self._starts[owner] + self._counts[owner])
            own[number] = cosines[number, of_route].max()
            cosines[number, of_route] = -np.inf
        return BetweenRoutes(rounded(own), rounded(cosines.max(axis=1)), cosines.argmax(axis=1))

    def _cosines(self, queries: Queries) -> tuple[Matrix, bool]:
        """Cosines with all utterances, ``(n, u)``, minus infinity where nothing can be compared; whether that is so."""
        cosines: Matrix = queries.vectors @ self._matrix.T
        limited = len(self._unreadable) > 0
        if limited:
            cosines[:, self._unreadable] = -np.inf
        for row, (text, unread, key) in enumerate(zip(queries.texts, queries.unread, queries.keys, strict=True)):
            if unread > MOST_UNREAD:
                limited = True
                cosines[row] = -np.inf
                cosines[row, self._with_text(text)] = 1
            elif cosines[row].max() > NEAR:
                cosines[row, self._by_key.get(digest_of_key(key), [])] = 1
        return cosines, limited

    def _with_text(self, text: str) -> list[int]:
        """The positions of the utterances that are this very text."""
        if not self._by_text:  # made for the first text that cannot be read
            self._by_text = positions_of([same_text(each) for each in self._texts()])
        return self._by_text.get(same_text(text), [])

    def by_text(self) -> dict[str, Embedded]:
        """The utterances as the encoder reads them."""
        return dict(zip(self._texts(), map(Embedded, self._matrix, self._unread, self._keys), strict=True))

    def readings(self) -> dict[str, Reading]:
        """How the encoder reads the utterances, without their vectors."""
        return dict(zip(self._texts(), map(Reading, self._unread, self._keys), strict=True))

    def _texts(self) -> list[str]:
        return [text for route in self.routes for text in route.utterances]

    def _mean_of_nearest(self, cosines: Matrix, top_k: int) -> Matrix:
        """The mean of the largest cosines of each route, ``(len(routes),)``; NaN where none is finite."""
        order = np.lexsort((-cosines, self._owners))
        rank = np.arange(len(order)) - np.repeat(self._starts, self._counts)
        used = (rank < top_k) & np.isfinite(cosines[order])
        counts = np.add.reduceat(used, self._starts, dtype=np.int64)
        sums = np.add.reduceat(np.where(used, cosines[order], np.float32(0)), self._starts)
        return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan).astype(np.float32)


def positions_of(values: Sequence[Hashable]) -> dict[Hashable, list[int]]:
    """The positions of each value."""
    found: dict[Hashable, list[int]] = defaultdict(list)
    for position, value in enumerate(values):
        found[value].append(position)
    return dict(found)
