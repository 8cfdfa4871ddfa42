"""Measures the stages of a decision."""

from __future__ import annotations

import time
from collections.abc import Callable

STAGES = ("classify", "load", "encode", "match")


class Clock:
    """Milliseconds by stage, divided evenly among the texts of a batch."""

    def __init__(self, texts: int, loading: Callable[[], float]) -> None:
        """
        Args:
            texts: in the batch.
            loading: seconds that this thread has spent so far on getting encoders into memory.
        """
        self._texts, self._loading = texts, loading
        self._seconds = dict.fromkeys(STAGES, 0.0)
        self._started = self._since = time.perf_counter()
        self._loaded = loading()

    def end_of(self, stage: str) -> None:
        """Add the time since the end of the stage before to a stage, except for the loading of encoders."""
        now, loaded = time.perf_counter(), self._loading()
        loading = loaded - self._loaded
        self._seconds[stage] += now - self._since - loading
        self._seconds["load"] += loading
        self._since, self._loaded = now, loaded

    def timings(self) -> dict[str, float]:
        """Milliseconds a text of every stage, and in total."""
        total = time.perf_counter() - self._started
        return {
            name: round(1000 * spent / max(self._texts, 1), 3)
            for name, spent in (*self._seconds.items(), ("total", total))
        }
