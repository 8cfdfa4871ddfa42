"""A key-value cache in an SQLite file, which several threads and processes may use at a time."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from registry.errors import OutputError
from registry.shared.outputs import make_folder

_KEYS = 500
"""Keys of one query: SQLite limits how many parameters a statement has."""
_TIMEOUT = 30.0
"""Seconds to wait for another process that is writing."""


class CacheError(OutputError):
    """A cache cannot be read or written.

    Attributes:
        damaged: whether its file is no SQLite database, or a damaged one; else it may work later.
    """

    def __init__(self, path: Path, error: Exception) -> None:
        self.damaged = type(error) is sqlite3.DatabaseError  # its subclasses are for locks, full disks and the like
        super().__init__(
            str(error) if isinstance(error, OutputError) else f"{path}: cannot be used as a cache: {error}"
        )


class SqliteCache:
    """Bytes by key. A missing file is an empty cache, and is created by the first write.

    Raises:
        CacheError: by ``create``, ``get`` and ``put``: the file cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def create(self) -> None:
        """Create the file, if it is missing, and make sure that it can be used."""
        with self._open():
            pass

    def get(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Those of the keys that are kept, with their values."""
        if not self.path.exists():
            return {}
        found: dict[bytes, bytes] = {}
        with self._open() as database:
            for start in range(0, len(keys), _KEYS):
                part = keys[start : start + _KEYS]
                marks = ", ".join("?" * len(part))
                found |= database.execute(f"SELECT key, value FROM entries WHERE key IN ({marks})", part).fetchall()
        return found

    def put(self, values: Mapping[bytes, bytes]) -> None:
        """Keep values in place of earlier ones, in one transaction."""
        with self._open() as database:
            database.executemany("INSERT OR REPLACE INTO entries VALUES (?, ?)", list(values.items()))

    def remove(self) -> None:
        """Delete the file, as far as the system allows."""
        with suppress(OSError):
            self.path.unlink()

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            make_folder(self.path.parent)
            with closing(sqlite3.connect(self.path, timeout=_TIMEOUT)) as database, database:
                database.execute("CREATE TABLE IF NOT EXISTS entries (key BLOB PRIMARY KEY, value BLOB NOT NULL)")
                yield database
        except (OutputError, sqlite3.Error) as error:
            raise CacheError(self.path, error) from error
