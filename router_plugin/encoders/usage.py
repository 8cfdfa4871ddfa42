"""Counts the queries of each domain of a registry, across restarts on this machine."""

from __future__ import annotations

import hashlib
import json
import threading
import time
import weakref
from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path

from registry.errors import OutputError
from registry.shared.home import cache_folder
from registry.shared.outputs import make_folder, write_atomically

EVERY = 60.0
"""Seconds between two writes. The last counts are written when the process ends."""


class Usage:
    """Queries by domain. Safe to use from several threads; of several processes, the last one to write wins."""

    def __init__(self, registry: str) -> None:
        """
        Args:
            registry: URL of the registry; each has its own counts.
        """
        name = hashlib.sha256(registry.encode()).hexdigest()[:16]
        self._file = cache_folder("usage") / f"{name}.json"
        self._counts = _read(self._file)
        self._lock = threading.Lock()
        self._written = time.monotonic()
        self._finish = weakref.finalize(self, _write, self._file, self._counts)

    def add(self, domains: Iterable[str]) -> None:
        """Count queries."""
        with self._lock:
            self._counts.update(domains)
            if time.monotonic() - self._written > EVERY:
                _write(self._file, self._counts)
                self._written = time.monotonic()

    def close(self) -> None:
        """Write the last counts now. A second call does nothing."""
        with self._lock:
            self._finish()

    def most_used(self, limit: int, among: Collection[str]) -> list[str]:
        """The domains with most queries, the most used first."""
        with self._lock:
            return [domain for domain, _ in self._counts.most_common() if domain in among][:limit]


def _read(file: Path) -> Counter[str]:
    try:
        counts = json.loads(file.read_text(encoding="utf-8"))
        return Counter({str(domain): int(count) for domain, count in counts.items()})
    except (OSError, ValueError, AttributeError, TypeError):  # missing, or damaged
        return Counter()


def _write(file: Path, counts: Counter[str]) -> None:
    if not counts:
        return
    try:
        make_folder(file.parent)
        write_atomically(file, json.dumps(counts))
    except OutputError:  # counts are a hint: no query must fail because of them
        return
