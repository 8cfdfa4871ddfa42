"""The registry's database, SQLite or PostgreSQL: opened, migrated, and written to one transaction at a time."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, inspect, select, text, update
from sqlalchemy.exc import IntegrityError, OperationalError, SQLAlchemyError

from registry.errors import RegistryError
from registry.storage import tables

T = TypeVar("T")

BUSY_SECONDS = 60
"""How long a writer waits for another one."""
CHANNEL = "domain_router"
"""The channel on which PostgreSQL tells of every change."""

POSTGRESQL: dict[str, Any] = {
    "tcp_user_timeout": 15_000,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 2,
}
"""Lets libpq give up a connection within 20 s of losing its network; the default is some 15 minutes."""

_CONNECT_SECONDS = 10
_TRIES = 5
"""Attempts at a transaction that conflicts with another writer's."""
_WRITERS, _MIGRATIONS = 6_018_001, 6_018_002
"""Advisory locks of PostgreSQL."""
_LOST_RACES = ("40001", "40P01")
"""States of PostgreSQL for a serialization failure and a deadlock."""


def open_database(url: URL) -> Engine:
    """An engine on an up-to-date database; creates the file and the tables where they are missing.

    Raises:
        RegistryError: the database cannot be reached, belongs to another program, or was made by a newer version.
    """
    try:
        return _open(url)
    except (SQLAlchemyError, ImportError, OSError, sqlite3.Error) as error:
        raise RegistryError(f"registry {url.render_as_string()} cannot be opened: {_reason(error, url)}") from error


def revision_of(url: URL) -> str | None:
    """The version of a database's tables, which are not migrated; None where there are none.

    Raises:
        RegistryError: see :func:`open_database`.
    """
    try:
        engine = _sqlite(url) if _is_sqlite(url) else _postgresql(url)
        try:
            return _checked(engine, _revision(engine))
        finally:
            engine.dispose()
    except (SQLAlchemyError, ImportError, OSError, sqlite3.Error) as error:
        raise RegistryError(f"registry {url.render_as_string()} cannot be opened: {_reason(error, url)}") from error


def _open(url: URL) -> Engine:
    engine = _sqlite(url) if _is_sqlite(url) else _postgresql(url)
    revision = _checked(engine, _revision(engine))
    if revision != tables.HEAD:
        from registry.storage import migrations

        with _transaction(engine, _MIGRATIONS, foreign_keys=False) as connection:
            if _checked(engine, _current(connection)) != tables.HEAD:  # else another process was faster
                migrations.upgrade(connection)
    return engine


def _postgresql(url: URL) -> Engine:
    if url.get_backend_name() != "postgresql":
        raise RegistryError(
            f"registry {url.render_as_string()}: a registry lives in SQLite or in PostgreSQL: "
            "expected sqlite:// or postgresql+psycopg://"
        )
    return create_engine(url, pool_pre_ping=True, connect_args={"connect_timeout": _CONNECT_SECONDS, **POSTGRESQL})


def _sqlite(url: URL) -> Engine:
    file = Path(url.database) if url.database and url.database != ":memory:" else None
    if file and file.exists() and not os.access(file.parent, os.W_OK, effective_ids=True):
        engine = create_engine("sqlite://", creator=lambda: _unwritable(file), poolclass=NullPool)
        engine.url = url
        _let_sqlalchemy_begin(engine)
        return engine
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS})
    _let_sqlalchemy_begin(engine, "journal_mode = WAL", "synchronous = FULL")
    return engine


def _unwritable(file: Path) -> sqlite3.Connection:
    """A connection to a file in a folder that may only be read.

    SQLite shares the log of recent writes between processes by files beside the database. While there is none, nobody
    writes, and the file may be read as one that does not change.
    """
    quiet = "" if file.with_name(f"{file.name}-wal").exists() else "&immutable=1"
    return sqlite3.connect(
        f"{file.absolute().as_uri()}?mode=ro{quiet}", uri=True, timeout=BUSY_SECONDS, check_same_thread=False
    )


def empty_database() -> Engine:
    """A registry's database without any rows, in memory. To be used from one thread."""
    engine = create_engine("sqlite://")
    _let_sqlalchemy_begin(engine)
    tables.metadata.create_all(engine)
    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection for reading.

    Raises:
        RegistryError: the database cannot be read.
    """
    with _explained(engine.url, "read"), engine.connect() as connection:
        yield connection


def write(engine: Engine, work: Callable[[Connection], T], counted: bool = True) -> T:
    """Run some work in one transaction, and return its result. There is one writer at a time.

    Work that conflicts with another writer's all the same, of a program that takes no lock, is repeated on the new
    state. Every change counts the generation up, so that readers see that there was one.

    Args:
        engine: the database.
        work: may be run several times.
        counted: whether it is a change that readers should see.

    Raises:
        RegistryError: the database cannot be written.
    """

    def run(connection: Connection) -> T:
        done = work(connection)
        if not counted:
            return done
        connection.execute(update(tables.generation).values(number=tables.generation.c.number + 1))
        if not _is_sqlite(engine.url):
            connection.execute(text("SELECT pg_notify(:channel, '')"), {"channel": CHANNEL})
        return done

    with _explained(engine.url, "written"):
        for _ in range(_TRIES - 1):
            try:
                with _transaction(engine, _WRITERS) as connection:
                    return run(connection)
            except (IntegrityError, OperationalError) as error:
                if not _is_lost_race(error):
                    raise
        with _transaction(engine, _WRITERS) as connection:
            return run(connection)


def generation(engine: Engine) -> int:
    """The number that every change counts up.

    Raises:
        RegistryError: the database cannot be read.
    """
    with reading(engine) as connection:
        return connection.execute(select(tables.generation.c.number)).scalar() or 0


@contextmanager
def _transaction(engine: Engine, lock: int, foreign_keys: bool = True) -> Iterator[Connection]:
    """A transaction that excludes others under the same lock; on SQLite all other writers.

    Args:
        engine: the database.
        lock: of PostgreSQL.
        foreign_keys: whether SQLite checks them at once; a table that others refer to can only be replaced if not.
    """
    with engine.connect() as connection:
        connection = connection.execution_options(immediate=True)
        checked = foreign_keys or not _is_sqlite(engine.url)
        with nullcontext() if checked else _without_foreign_keys(connection), connection.begin():
            if not _is_sqlite(engine.url):
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": lock})
            yield connection


@contextmanager
def _without_foreign_keys(connection: Connection) -> Iterator[None]:
    """SQLite changes this only outside of transactions, which SQLAlchemy would begin."""
    sqlite: Any = connection.connection.dbapi_connection
    sqlite.execute("PRAGMA foreign_keys = OFF")
    try:
        yield
    finally:
        sqlite.execute("PRAGMA foreign_keys = ON")


@contextmanager
def _explained(url: URL, done: str) -> Iterator[None]:
    try:
        yield
    except (SQLAlchemyError, OSError, sqlite3.Error) as error:
        raise RegistryError(
            f"registry {url.render_as_string()} cannot be {done}: {_reason(error, url)}: "
            "check that it can be reached and is not locked, and your permissions, and try again"
        ) from error


def _is_lost_race(error: IntegrityError | OperationalError) -> bool:
    return isinstance(error, IntegrityError) or getattr(error.orig, "sqlstate", None) in _LOST_RACES


def _reason(error: Exception, url: URL) -> str:
    """The database's own message, without the password."""
    reason = str(getattr(error, "orig", None) or error).partition("\n")[0]
    return reason.replace(str(url.password), "***") if url.password else reason


def _checked(engine: Engine, revision: str | None) -> str | None:
    if revision is not None and not re.fullmatch(r"\d{4}", revision):
        raise RegistryError(
            f"registry {engine.url.render_as_string()}: another program keeps its tables there, at {revision}: "
            "give the registry a database of its own"
        )
    if revision is not None and revision > tables.HEAD:
        raise RegistryError(
            f"registry {engine.url.render_as_string()} was made by a newer domain-router: its tables are at "
            f"{revision}, this version knows {tables.HEAD}: upgrade domain-router"
        )
    return revision


def _revision(engine: Engine) -> str | None:
    with engine.connect() as connection:
        return _current(connection)


def _current(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def _let_sqlalchemy_begin(engine: Engine, *pragmas: str) -> None:
    """Let SQLAlchemy begin transactions: the sqlite3 module would begin them too late to keep writers apart."""

    @event.listens_for(engine, "connect")
    def connect(dbapi_connection: Any, _: object) -> None:
        dbapi_connection.isolation_level = None
        for pragma in ("foreign_keys = ON", *pragmas):
            dbapi_connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get("immediate")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
