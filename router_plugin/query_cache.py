"""Embeddings of recent queries, by model version, text and tokens."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable

import numpy as np
from numpy.typing import NDArray


class QueryCache:
    """So many entries at most, the longest unused dropped first. Safe to use from several threads.

    An embedding has an entry for its exact text, and one for what its encoder makes of the text: see
    :meth:`router_plugin.contracts.Encoder.key`.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._entries: OrderedDict[tuple[str, Hashable], NDArray[np.float32]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, version: str, key: Hashable) -> NDArray[np.float32] | None:
        """The embedding, ``(d,)``, by that model version; None where it is not known."""
        with self._lock:
            found = self._entries.get((version, key))
            if found is not None:
                self._entries.move_to_end((version, key))
            return found

    def put(self, version: str, key: Hashable, embedding: NDArray[np.float32]) -> None:
        """Remember an embedding."""
        if not self._size:
            return
        with self._lock:
            self._entries[version, key] = embedding.copy()  # not a row of a batch that stays in memory for its sake
            self._entries.move_to_end((version, key))
            while len(self._entries) > self._size:
                self._entries.popitem(last=False)

    def __len__(self) -> int:
        return len(self._entries)
