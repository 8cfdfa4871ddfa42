"""The sessions that somebody signed out of, in the file that all processes of a server count in."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager

from router_plugin.server.traffic.traffic_file import TrafficFile

_TABLE = "CREATE TABLE IF NOT EXISTS ended_sessions (id TEXT PRIMARY KEY, ends INTEGER NOT NULL) WITHOUT ROWID"
_ALL_BEFORE = ""
"""The id of a row for all sessions that end before it."""


class EndedSessions:
    """Remembers sessions that have ended until their cookies do. Any number of threads and processes may use one file.

    Sessions that began before the file knew of ended ones have ended, too: nobody can say which of them did. So a
    server whose file is new, as without ``--traffic`` at every start, lets everybody sign in again.

    Raises:
        ServerError: by all methods: the file cannot be used.
    """

    def __init__(self, file: TrafficFile, lasts: int) -> None:
        """
        Args:
            file: of the server.
            lasts: seconds that a session lasts at most.
        """
        self._file, self._lasts = file, lasts
        with self._open():
            pass

    def add(self, session: str, ends: int) -> None:
        """Remember a session.

        Args:
            session: its identifier.
            ends: when its cookie ends, in seconds since 1970.
        """
        with self._open() as database:
            database.execute("DELETE FROM ended_sessions WHERE ends < ?", (int(time.time()),))
            database.execute("INSERT OR IGNORE INTO ended_sessions VALUES (?, ?)", (session, ends))

    def has(self, session: str, ends: int) -> bool:
        """Whether a session has ended; see :meth:`add` for the arguments."""
        with self._open() as database:
            found = database.execute(
                "SELECT 1 FROM ended_sessions WHERE id = ? OR (id = ? AND ends > ?)", (session, _ALL_BEFORE, ends)
            )
            return found.fetchone() is not None

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with self._file.open() as database:
            if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'ended_sessions'").fetchone():
                database.execute("BEGIN IMMEDIATE")
                database.execute(_TABLE)
                row = (_ALL_BEFORE, int(time.time()) + self._lasts)
                database.execute("INSERT OR IGNORE INTO ended_sessions VALUES (?, ?)", row)
                database.execute("COMMIT")
            yield database
