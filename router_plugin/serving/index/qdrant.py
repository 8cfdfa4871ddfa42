"""Candidates in Qdrant: a collection for each space, whose points carry the space in their payload."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from qdrant_client import models
from qdrant_client.http.exceptions import ApiException, UnexpectedResponse

from router_plugin.errors import CandidateIndexError
from router_plugin.serving.index.connecting import connect_qdrant, is_embedded, qdrant_faults
from router_plugin.serving.index.contract import (
    PREFIX,
    Entry,
    Held,
    Hit,
    Space,
    absent,
    check_written_in,
    read_space,
)
from router_plugin.utterances import Reading

VECTOR = "candidate"
"""The name of the vector, so that a point may have none."""
_PAGE = 1000


class QdrantCandidates:
    """See :class:`router_plugin.serving.index.contract.CandidateIndex`."""

    def __init__(self, store: str, seconds: int) -> None:
        """
        Args:
            store: address, see :func:`connect_qdrant`.
            seconds: that a request may take.

        Raises:
            CandidateIndexError: see :func:`connect_qdrant`.
        """
        self.store = store
        self._client = connect_qdrant(store, CandidateIndexError, seconds)
        embedded = is_embedded(store)  # such a one is not safe to use from several threads, and always exact
        self._lock: AbstractContextManager[object] = threading.RLock() if embedded else nullcontext()
        self._exactly = None if embedded else models.SearchParams(exact=True)

    def spaces(self) -> list[Held]:
        """See :class:`CandidateIndex`."""
        with self._faults():
            names = [each.name for each in self._client.get_collections().collections if each.name.startswith(PREFIX)]
            return sorted(filter(None, map(self._held, names)), key=lambda each: str(each.space))

    def readings(self, space: Space, ids: Sequence[bytes]) -> dict[bytes, Reading]:
        """See :class:`CandidateIndex`."""
        with self._faults():
            if not self._client.collection_exists(space.place):
                return {}
            points = self._client.retrieve(space.place, _points(ids), with_payload=["space", "unread", "key"])
        found = {}
        for point in points:
            payload = self._checked(space, point.payload)
            found[_id(point.id)] = Reading(float(payload["unread"]), bytes.fromhex(payload["key"]))
        return found

    def ids(self, space: Space) -> Iterator[list[bytes]]:
        """See :class:`CandidateIndex`."""
        offset: Any = None
        while True:
            with self._reading(space):
                points, offset = self._client.scroll(
                    space.place, limit=_PAGE, offset=offset, with_payload=False, with_vectors=False
                )
            yield [_id(point.id) for point in points]
            if offset is None:
                return

    def write(self, space: Space, entries: Sequence[Entry]) -> None:
        """See :class:`CandidateIndex`."""
        carried = {"space": space.identifier, "record": space.model_dump()}
        points = [
            models.PointStruct(
                id=str(UUID(bytes=entry.id)),
                vector={VECTOR: entry.vector.tolist()} if entry.readable else {},
                payload={**carried, "unread": entry.reading.unread, "key": entry.reading.key.hex()},  # type: ignore[attr-defined]
            )
            for entry in entries
        ]
        with self._faults():
            self._make(space, len(entries[0].vector))
            self._client.upsert(space.place, points, wait=True)

    def complete(self, space: Space) -> None:
        """See :class:`CandidateIndex`. Qdrant builds its index by itself."""

    def nearest(self, space: Space, vectors: NDArray[np.float32], limit: int) -> list[list[Hit]]:
        """See :class:`CandidateIndex`."""
        asked = [
            models.QueryRequest(query=vector.tolist(), using=VECTOR, limit=limit, with_payload=["space"])
            for vector in vectors
        ]
        with self._reading(space):
            answers = self._client.query_batch_points(space.place, asked)
        return [self._hits(space, answer.points) for answer in answers]

    def cosines(self, space: Space, vector: NDArray[np.float32], ids: Sequence[bytes]) -> list[Hit]:
        """See :class:`CandidateIndex`."""
        with self._reading(space):
            answer = self._client.query_points(
                space.place,
                query=vector.tolist(),
                using=VECTOR,
                query_filter=models.Filter(must=[models.HasIdCondition(has_id=list(_points(ids)))]),
                search_params=self._exactly,
                limit=len(ids),
                with_payload=["space"],
            )
        return self._hits(space, answer.points)

    def delete(self, space: Space, ids: Sequence[bytes]) -> None:
        """See :class:`CandidateIndex`."""
        with self._reading(space):
            self._client.delete(space.place, models.PointIdsList(points=_points(ids)), wait=True)

    def drop(self, space: Space) -> None:
        """See :class:`CandidateIndex`."""
        with self._faults():
            self._client.delete_collection(space.place)

    def close(self) -> None:
        """See :class:`CandidateIndex`."""
        self._client.close()

    def _make(self, space: Space, dimension: int) -> None:
        """Make the collection, where no other process has."""
        if self._client.collection_exists(space.place):
            return
        params = {VECTOR: models.VectorParams(size=dimension, distance=models.Distance.COSINE)}
        try:
            self._client.create_collection(space.place, vectors_config=params)
        except ApiException:
            if not self._client.collection_exists(space.place):
                raise

    def _held(self, name: str) -> Held | None:
        """What a collection holds; None for one that is empty or not of ours."""
        points, _ = self._client.scroll(name, limit=1, with_payload=["record"], with_vectors=False)
        space = read_space((points[0].payload or {}).get("record")) if points else None
        return Held(space, self._client.count(name, exact=True).count) if space else None

    def _hits(self, space: Space, points: Sequence[models.ScoredPoint]) -> list[Hit]:
        for point in points:
            self._checked(space, point.payload)
        return [Hit(_id(point.id), point.score) for point in points]

    def _checked(self, space: Space, payload: dict[str, Any] | None) -> dict[str, Any]:
        found = payload or {}
        check_written_in(space, found.get("space"), self.store)
        return found

    @contextmanager
    def _faults(self) -> Iterator[None]:
        with self._lock, qdrant_faults(self.store, CandidateIndexError):
            yield

    @contextmanager
    def _reading(self, space: Space) -> Iterator[None]:
        """As :meth:`_faults`, where the collection must be there."""
        with self._faults():
            try:
                yield
            except (UnexpectedResponse, ValueError) as fault:  # the latter is an embedded one's
                if self._client.collection_exists(space.place):
                    raise
                raise absent(space, self.spaces(), self.store) from fault


def _points(ids: Sequence[bytes]) -> list[Any]:
    return [str(UUID(bytes=each)) for each in ids]


def _id(point: Any) -> bytes:
    return UUID(str(point)).bytes
