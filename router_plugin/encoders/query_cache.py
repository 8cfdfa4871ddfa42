"""Embeddings of recent queries, by model version, text and tokens."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Place = tuple[str, Hashable]


class _Kept(NamedTuple):
    text: str
    embedding: NDArray[np.float32]


class QueryCache:
    """A limited number of embeddings; the least recently used are dropped. Safe to use from several threads.

    An embedding is found by what its encoder makes of the text, see :meth:`router_plugin.contracts.Encoder.key`; and by
    the last of such texts without asking the encoder.

    Attributes:
        hits: how often an embedding was found.
        misses: how often one had to be made.
    """

    def __init__(self, size: int) -> None:
        self.hits = self.misses = 0
        self._size = size
        self._kept: OrderedDict[Place, _Kept] = OrderedDict()
        self._places: dict[tuple[str, str], Place] = {}
        self._lock = threading.Lock()

    def get(self, version: str, text: str) -> NDArray[np.float32] | None:
        """The embedding of exactly this text by that model version, ``(d,)``; None where it is not cached."""
        with self._lock:
            place = self._places.get((version, text))
            return None if place is None else self._use(place)

    def get_equal(self, version: str, key: Hashable) -> NDArray[np.float32] | None:
        """The embedding of the texts that have this key for the encoder; None where it is not cached."""
        with self._lock:
            return self._use((version, key))

    def put(self, version: str, text: str, key: Hashable, embedding: NDArray[np.float32]) -> None:
        """Cache an embedding."""
        if not self._size:
            return
        place = version, key
        with self._lock:
            self.misses += place not in self._kept
            self._forget(place)
            self._kept[place] = _Kept(text, embedding.copy())  # a row would keep the whole batch in memory
            self._places[version, text] = place
            if len(self._kept) > self._size:
                self._forget(next(iter(self._kept)))

    def __len__(self) -> int:
        return len(self._kept)

    def _use(self, place: Place) -> NDArray[np.float32] | None:
        found = self._kept.get(place)
        if found is None:
            return None
        self._kept.move_to_end(place)
        self.hits += 1
        return found.embedding

    def _forget(self, place: Place) -> None:
        found = self._kept.pop(place, None)
        if found is not None:
            self._places.pop((place[0], found.text), None)
