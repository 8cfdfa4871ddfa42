"""Measures the stages of a decision."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

STAGES = ("classify", "load", "encode", "match")


class Clock:
    """Milliseconds by stage, divided evenly among the texts of a batch."""

    def __init__(self, texts: int) -> None:
        self._texts = texts
        self._seconds = dict.fromkeys(STAGES, 0.0)
        self._started = time.perf_counter()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Adds the time of the enclosed statements to a stage."""
        started = time.perf_counter()
        yield
        self._seconds[name] += time.perf_counter() - started

    def move(self, seconds: float, source: str, target: str) -> None:
        """Count time that was measured with one stage as another's."""
        self._seconds[source] -= seconds
        self._seconds[target] += seconds

    def timings(self) -> dict[str, float]:
        """Milliseconds a text of every stage, and in total."""
        total = time.perf_counter() - self._started
        return {
            name: round(1000 * spent / max(self._texts, 1), 3)
            for name, spent in {**self._seconds, "total": total}.items()
        }
