"""The candidates of one encoder in an index: the nearest are read from it, and scored as those in memory are."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from registry.progress import bar
from registry.shared.texts import clean
from router_plugin.contracts import MOST_UNREAD, Encoder
from router_plugin.cosines import Floats, rounded
from router_plugin.errors import CandidateIndexError
from router_plugin.routes import Route
from router_plugin.serving.candidate_store import BLOCK, blocks, digest_of_key, embed
from router_plugin.serving.candidates import Queries, positions_of
from router_plugin.serving.index.contract import BUILD, CandidateIndex, Entry, Space, id_of
from router_plugin.serving.texts import same_text
from router_plugin.settings import Aggregation
from router_plugin.utterances import Reading

log = logging.getLogger(__name__)

WIDER = 4
"""By which factor a search is widened whose answer is mostly candidates of other routes."""
MOST_READ = 16_384
"""Candidates that are read for a query at the most."""

Rows = NDArray[np.int64]
"""Positions of utterances, in the order of the routes."""


class Shelf(NamedTuple):
    """Where candidates are.

    Attributes:
        holder: the index.
        space: of it.
        nearest: candidates that are read for a query.
    """

    holder: CandidateIndex
    space: Space
    nearest: int

    def readings(self, ids: Sequence[bytes]) -> dict[bytes, Reading]:
        """How the encoder reads those of any number of candidates that are there.

        Raises:
            CandidateIndexError: see :class:`CandidateIndex`.
        """
        found: dict[bytes, Reading] = {}
        for block in blocks(ids):
            found |= self.holder.readings(self.space, block)
        return found


class StoredCandidates:
    """Routes whose utterances' vectors are in an index; how the encoder reads them is known here. Never changed.

    The index may hold candidates that no route has, or no longer; what it finds of them does not count.

    Attributes:
        routes: each with at least one utterance.
        made: candidates that were embedded and stored for this object.
    """

    def __init__(self, routes: Sequence[Route], shelf: Shelf, readings: Mapping[bytes, Reading], made: int) -> None:
        """
        Args:
            routes: each with at least one utterance.
            shelf: has all of them.
            readings: of all utterances, by id.
            made: see the attribute.
        """
        self.routes, self.made = tuple(routes), made
        self._shelf, self._readings = shelf, readings
        self._ids = [id_of(clean(text)) for text in self._texts()]
        self._rows = positions_of(self._ids)
        self._by_key = positions_of([readings[each].key for each in self._ids])
        self._readable = np.array([readings[each].unread <= MOST_UNREAD for each in self._ids])
        self._counts = np.array([len(route.utterances) for route in routes], dtype=np.int64)
        self._starts = np.cumsum(self._counts) - self._counts
        self._owners = np.repeat(np.arange(len(self.routes)), self._counts)
        self._by_text: dict[object, list[int]] = {}

    @classmethod
    def filled(
        cls, routes: Sequence[Route], shelf: Shelf, encoder: Encoder, previous: StoredCandidates | None = None
    ) -> StoredCandidates:
        """Embed and store the utterances that the index does not have; what it has stays.

        A call that is killed goes on where it was.

        Args:
            routes: at least one.
            shelf: where they go.
            encoder: of its space.
            previous: candidates on the same shelf. If they have all of the utterances, nothing is looked up.

        Raises:
            CandidateIndexError: see :class:`CandidateIndex`.
        """
        texts = texts_by_id(routes)
        known = previous._readings if previous else {}
        if not texts.keys() <= known.keys():
            known = shelf.readings(list(texts))
        readings = {each: known[each] for each in texts if each in known}
        missing = [each for each in texts if each not in readings]
        if missing:
            log.info("%d of %d candidates of %s are embedded and stored", len(missing), len(texts), shelf.space)
        with bar("embedding candidates", len(missing), shown=len(missing) > BLOCK) as advance:
            for block in blocks(missing):
                made = embed([texts[each] for each in block], encoder)
                entries = [
                    Entry(id_, each.vector, Reading(each.unread, each.key))
                    for id_, each in zip(block, made, strict=True)
                ]
                shelf.holder.write(shelf.space, entries)
                readings |= {entry.id: entry.reading for entry in entries}
                advance(len(block))
        if missing:
            shelf.holder.complete(shelf.space)
        return cls(routes, shelf, readings, len(missing))

    def scores(self, queries: Queries, aggregation: Aggregation = "max", top_k: int = 1) -> Floats:
        """The score of every query with the routes of the candidates nearest to it, ``(n, len(routes))``.

        It is that of :meth:`Candidates.scores`. NaN for other routes, and where a query cannot be compared.

        Raises:
            CandidateIndexError: see :class:`CandidateIndex`.
        """
        readable = [row for row, part in enumerate(queries.unread) if part <= MOST_UNREAD]
        found = dict(zip(readable, self._nearest(queries.vectors[readable]), strict=True))
        scores = np.full((len(queries.texts), len(self.routes)), np.nan)
        for row in range(len(scores)):
            query = _single(queries, row)
            if row not in found:
                rows = self._with_text(query.texts[0])
                scores[row] = self._aggregated(rows, np.ones(len(rows)), aggregation, top_k)
                continue
            rows, cosines = self._with_same(query, *found[row])
            if aggregation != "max" and len(rows):
                rows, cosines = self._of_routes(query, np.unique(self._owners[rows]))
            scores[row] = self._aggregated(rows, cosines, aggregation, top_k)
        return rounded(scores)

    def scores_of(
        self, query: Queries, routes: NDArray[np.int64], aggregation: Aggregation = "max", top_k: int = 1
    ) -> Floats:
        """The scores of a single readable query with some routes, however far they are, ``(k,)``; NaN as above.

        Args:
            query: a single one.
            routes: their positions among the routes here, ``(k,)``.
            aggregation: as for :meth:`scores`.
            top_k: likewise.

        Raises:
            CandidateIndexError: see :class:`CandidateIndex`.
        """
        return rounded(self._aggregated(*self._of_routes(query, routes), aggregation, top_k)[routes])

    def deciding(self, query: Queries) -> None:
        """None: :meth:`scores` compares with no more than matters to a decision."""

    def nearest(self, query: Queries, limit: int) -> list[tuple[str, str, float]]:
        """The utterances nearest to a single query, the nearest first: route, utterance, cosine."""
        texts = self._texts()
        if query.unread[0] > MOST_UNREAD:
            rows = self._with_text(query.texts[0])
            cosines = np.ones(len(rows))
        else:
            rows, cosines = self._with_same(query, *self._nearest(query.vectors)[0])
        order = np.lexsort((rows, -cosines))[:limit]
        named = [(self.routes[self._owners[row]].name, texts[row]) for row in rows[order].tolist()]
        return [(*names, value) for names, value in zip(named, rounded(cosines[order]).tolist(), strict=True)]

    def prepare(self) -> None:
        """Nothing: the index is ready."""

    @property
    def space(self) -> Space:
        """Where they are."""
        return self._shelf.space

    def prune(self) -> int:
        """Remove from the index what no route here has; returns how many candidates.

        Raises:
            CandidateIndexError: see :class:`CandidateIndex`.
        """
        index, space, _ = self._shelf
        strange = [id_ for page in index.ids(space) for id_ in page if id_ not in self._rows]
        for block in blocks(strange):
            index.delete(space, block)
        return len(strange)

    def readings(self) -> dict[str, Reading]:
        """How the encoder reads the utterances."""
        return {text: self._readings[id_] for text, id_ in zip(self._texts(), self._ids, strict=True)}

    def between_routes(self, rows: Sequence[int]) -> NoReturn:
        """See :meth:`Candidates.between_routes`.

        Raises:
            CandidateIndexError: always.
        """
        raise _only_in_memory("comparing utterances with each other")

    def by_text(self) -> NoReturn:
        """See :meth:`Candidates.by_text`.

        Raises:
            CandidateIndexError: always.
        """
        raise _only_in_memory("improving routes")

    def _texts(self) -> list[str]:
        return [text for route in self.routes for text in route.utterances]

    def _nearest(self, vectors: NDArray[np.float32]) -> list[tuple[Rows, Floats]]:
        """The utterances nearest to each vector, ``(n, d)``, and their cosines."""
        if not len(vectors):
            return []
        index, space, limit = self._shelf
        enough = min(limit, int(self._readable.sum())) / 2
        found = []
        for vector, hits in zip(vectors, index.nearest(space, vectors, limit), strict=True):
            read, own = limit, self._own(hits)
            while len(hits) == read < MOST_READ and len(own[0]) < enough:
                read = min(read * WIDER, MOST_READ)
                (hits,) = index.nearest(space, vector[None], read)
                own = self._own(hits)
            if not len(own[0]) and self._readable.any():
                raise CandidateIndexError(
                    f"{index.store}: {space} has lost the candidates of these routes, or has too many of others: "
                    f"run '{BUILD} --prune'"
                )
            found.append(own)
        return found

    def _own(self, hits: Sequence[tuple[bytes, float]]) -> tuple[Rows, Floats]:
        """The utterances that hits stand for, and their cosines; several routes may have the same one."""
        found = [(row, cosine) for id_, cosine in hits for row in self._rows.get(id_, ())]
        return np.array([row for row, _ in found], dtype=np.int64), np.array([value for _, value in found])

    def _of_routes(self, query: Queries, routes: NDArray[np.int64]) -> tuple[Rows, Floats]:
        """All readable utterances of some routes, and their cosines with a single readable query."""
        index, space, _ = self._shelf
        rows = np.flatnonzero(np.isin(self._owners, routes) & self._readable)
        ids = dict.fromkeys(self._ids[row] for row in rows.tolist())
        hits = [hit for block in blocks(ids) for hit in index.cosines(space, query.vectors[0], block)]
        found, cosines = self._with_same(query, *self._own(hits))
        kept = np.isin(self._owners[found], routes)
        return found[kept], cosines[kept]

    def _with_same(self, query: Queries, rows: Rows, cosines: Floats) -> tuple[Rows, Floats]:
        """Utterances and cosines, and with cosine 1 those that the encoder cannot tell from the query."""
        same = np.array(self._by_key.get(digest_of_key(query.keys[0]), ()), dtype=np.int64)
        same = same[self._readable[same]]
        together, first = np.unique(np.concatenate([same, rows]), return_index=True)
        return together, np.concatenate([np.ones(len(same)), cosines])[first]

    def _with_text(self, text: str) -> Rows:
        """The utterances that are this very text."""
        if not self._by_text:  # made for the first text that cannot be read
            self._by_text = positions_of([same_text(each) for each in self._texts()])
        return np.array(self._by_text.get(same_text(text), ()), dtype=np.int64)

    def _aggregated(self, rows: Rows, cosines: Floats, aggregation: Aggregation, top_k: int) -> Floats:
        """The mean of each route's nearest utterances among these, ``(len(routes),)``; NaN where it has none."""
        counted = {"max": 1, "top-k": top_k, "mean": len(rows)}[aggregation]
        order = np.lexsort((-cosines, self._owners[rows]))
        owners, values = self._owners[rows][order], cosines[order]
        used = np.arange(len(owners)) - np.searchsorted(owners, owners) < counted
        number = np.bincount(owners[used], minlength=len(self.routes))
        sums = np.bincount(owners[used], values[used], minlength=len(self.routes))
        found: Floats = np.where(number > 0, sums / np.maximum(number, 1), np.nan)
        return found


def texts_by_id(routes: Sequence[Route]) -> dict[bytes, str]:
    """The clean utterances of routes by id, each once."""
    return {id_of(text): text for route in routes for text in map(clean, route.utterances)}


def _single(queries: Queries, row: int) -> Queries:
    return Queries(queries.vectors[row, None], [queries.texts[row]], [queries.unread[row]], [queries.keys[row]])


def _only_in_memory(what: str) -> CandidateIndexError:
    return CandidateIndexError(f"{what} needs all candidates in memory: do it without `index`")
