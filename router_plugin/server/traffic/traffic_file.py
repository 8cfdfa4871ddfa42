"""The SQLite file in which the processes of a server add up what they count, and keep queries where that is asked."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from router_plugin.errors import ServerError

MINUTE, HOUR, DAY = 60, 3600, 86400

KEPT_DAYS = 400
"""Days for which counts are kept: those of the last day by minute, older ones by hour."""

KEPT_QUERIES = 1_000_000
"""Queries that are kept at most: the latest."""

VERSION = 1
"""Of the tables, as ``PRAGMA user_version``."""

_APPLICATION = 0x646F7274
"""``PRAGMA application_id`` of our files."""

_WAIT = 5.0
"""Seconds to wait for another process that is writing."""

Key = tuple[Any, ...]


class Table(NamedTuple):
    """A table of sums.

    Attributes:
        name: of the table.
        keys: columns that identify a row. The first is the start of a minute or hour, in seconds since 1970 UTC.
        sums: columns that are added up.
    """

    name: str
    keys: tuple[str, ...]
    sums: tuple[str, ...]

    def creation(self) -> str:
        """The statement that makes it."""
        columns = ", ".join(f"{each} NOT NULL" for each in (*self.keys, *self.sums))
        return f"CREATE TABLE {self.name} ({columns}, PRIMARY KEY ({', '.join(self.keys)})) WITHOUT ROWID"

    def addition(self, source: str) -> str:
        """The statement that adds rows of a source to those with the same keys."""
        sums = ", ".join(f"{each} = {each} + excluded.{each}" for each in self.sums)
        return f"INSERT INTO {self.name} {source} ON CONFLICT ({', '.join(self.keys)}) DO UPDATE SET {sums}"


DECISIONS = Table("decisions", ("minute", "domain", "version", "route", "reason", "canary"), ("number", "confidence"))
REQUESTS = Table("requests", ("minute", "path", "status", "bucket"), ("number",))
STAGES = Table("stages", ("minute", "stage", "bucket"), ("number",))
TABLES = (DECISIONS, REQUESTS, STAGES)

QUERY_COLUMNS = ("time", "text", "domain", "route", "version", "confidence", "score", "reason", "canary")


class TrafficFile:
    """Counts and queries, which any number of threads and processes may add and read.

    A missing file is made, for its owner alone.

    Attributes:
        path: of the file.

    Raises:
        ServerError: by all that reads or writes: the file cannot be used. What was to be written is not, then.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._unerased = False
        with self.open():
            pass

    @contextmanager
    def open(self) -> Iterator[sqlite3.Connection]:
        """A connection, which is closed afterwards, so that no log of changes stays beside an idle file."""
        try:
            self._make()
            with closing(sqlite3.connect(self.path, timeout=_WAIT, isolation_level=None)) as database:
                database.execute("PRAGMA secure_delete = ON")
                database.execute("PRAGMA synchronous = NORMAL")
                database.create_function("folded", 1, str.casefold, deterministic=True)
                self._prepare(database)
                yield database
        except (OSError, sqlite3.Error) as error:
            raise self._fault(error) from error

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A connection in a transaction, which is undone where something is raised."""
        with self.open() as database, _transaction(database):
            yield database

    def add(self, counts: Mapping[Table, Mapping[Key, Sequence[float]]], queries: Iterable[Sequence[Any]]) -> None:
        """Add to what is there, in one transaction.

        Args:
            counts: of each table, its sums by its keys.
            queries: to keep, with the values of ``QUERY_COLUMNS``.
        """
        with self.writing() as database:
            for table, found in counts.items():
                values = f"VALUES ({_marks(table.keys + table.sums)})"
                database.executemany(table.addition(values), [(*key, *sums) for key, sums in found.items()])
            columns = ", ".join(QUERY_COLUMNS)
            database.executemany(f"INSERT INTO queries ({columns}) VALUES ({_marks(QUERY_COLUMNS)})", queries)

    def tidy(self, now: float, keep_days: float) -> None:
        """Merge minutes older than a day into hours, and delete what has been kept for long enough.

        Args:
            now: seconds since 1970.
            keep_days: days for which queries are kept.
        """
        merged, forgotten = (now - DAY) // HOUR * HOUR, now - KEPT_DAYS * DAY
        with self.writing() as database:
            for table in TABLES:
                keys, sums = ", ".join(table.keys[1:]), ", ".join(f"SUM({each})" for each in table.sums)
                old = f"FROM {table.name} WHERE minute < ? AND minute % {HOUR} != 0"
                hours = f"SELECT minute - minute % {HOUR}, {keys}, {sums} {old} GROUP BY 1, {keys}"
                database.execute(table.addition(hours), (merged,))
                database.execute(f"DELETE {old}", (merged,))
                database.execute(f"DELETE FROM {table.name} WHERE minute < ?", (forgotten,))
        too_many = "id <= (SELECT MAX(id) FROM queries) - ?"
        self.delete_queries(f"time < ? OR {too_many}", (now - keep_days * DAY, KEPT_QUERIES))

    def delete_queries(self, where: str, values: Sequence[Any] = ()) -> int:
        """Delete queries so that no byte of their texts stays in the file or in its log of changes.

        Overwriting what is deleted does not suffice for that: when SQLite divides and joins pages, it leaves copies of
        rows in their gaps. So the file is written anew.

        Args:
            where: a condition of SQL.
            values: of its parameters.

        Returns:
            How many were deleted.
        """
        with self.writing() as database:
            number = database.execute(f"DELETE FROM queries WHERE {where}", values).rowcount
        self._unerased |= number > 0
        if self._unerased:
            with self.open() as database:
                database.execute("VACUUM")
                (busy, *_) = database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            self._unerased = bool(busy)  # somebody reads what was: the next time, then
        return number

    def _make(self) -> None:
        if not self.path.exists():  # to close a file that is there would end all locks of this process on it
            with suppress(FileExistsError):
                os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))

    def _prepare(self, database: sqlite3.Connection) -> None:
        if self._has_tables(database):
            return
        database.execute("PRAGMA journal_mode = WAL")
        with _transaction(database):
            if self._has_tables(database):  # another process was faster
                return
            for table in TABLES:
                database.execute(table.creation())
            columns = ", ".join(QUERY_COLUMNS)
            database.execute(f"CREATE TABLE queries (id INTEGER PRIMARY KEY AUTOINCREMENT, {columns})")
            database.execute("CREATE INDEX queries_by_time ON queries (time)")
            database.execute(f"PRAGMA application_id = {_APPLICATION}")
            database.execute(f"PRAGMA user_version = {VERSION}")

    def _has_tables(self, database: sqlite3.Connection) -> bool:
        (application,) = database.execute("PRAGMA application_id").fetchone()
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if application == _APPLICATION:
            if version > VERSION:
                raise ServerError(
                    f"`traffic` {self.path}: a newer version of domain-router wrote it: use that, or another file"
                )
            return True
        if database.execute("SELECT 1 FROM sqlite_master").fetchone():
            raise ServerError(f"`traffic` {self.path}: is a database of something else: name another file")
        return False

    def _fault(self, error: OSError | sqlite3.Error) -> ServerError:
        if type(error) is sqlite3.DatabaseError:  # its subclasses are for locks, full disks and the like
            said = "is damaged, or no SQLite file: move it away, and a new one is made"
        else:
            said = f"cannot be used: {getattr(error, 'strerror', None) or error}"
        return ServerError(f"`traffic` {self.path}: {said}")


@contextmanager
def _transaction(database: sqlite3.Connection) -> Iterator[None]:
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:  # a full disk has ended it
            database.execute("ROLLBACK")
        raise


def _marks(columns: Sequence[str]) -> str:
    return ", ".join("?" * len(columns))
