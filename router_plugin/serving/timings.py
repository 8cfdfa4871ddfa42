"""Measures the stages of a decision."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

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
        self._started = time.perf_counter()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Adds the time of the enclosed statements to a stage, except for the loading of encoders."""
        started, loaded = time.perf_counter(), self._loading()
        yield
        loading = self._loading() - loaded
        self._seconds[name] += time.perf_counter() - started - loading
        self._seconds["load"] += loading

    def timings(self) -> dict[str, float]:
        """Milliseconds a text of every stage, and in total."""
        total = time.perf_counter() - self._started
        return {
            name: round(1000 * spent / max(self._texts, 1), 3)
            for name, spent in {**self._seconds, "total": total}.items()
        }
