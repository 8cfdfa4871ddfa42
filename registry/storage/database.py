"""The registry's database: opened, migrated, and written to one transaction at a time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from registry.errors import RegistryError
from registry.storage import tables

T = TypeVar("T")

_TRIES = 5
"""Attempts at a transaction that conflicts with another writer's, on databases whose writers interleave."""


def open_database(url: URL) -> Engine:
    """An engine on an up-to-date database; creates the file and the tables where they are missing.

    Raises:
        RegistryError: the database cannot be reached, belongs to another program, or was made by a newer version.
    """
    try:
        return _open(url)
    except (SQLAlchemyError, ImportError, OSError) as error:
        raise RegistryError(f"registry {url.render_as_string()} cannot be opened: {_reason(error, url)}") from error


def _open(url: URL) -> Engine:
    options = {"timeout": 60} if _is_sqlite(url) else {}
    engine = create_engine(url, connect_args=options)
    if _is_sqlite(url):
        if url.database:
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        _let_sqlalchemy_begin(engine)
    revision = _revision(engine)
    if revision is not None and revision > tables.HEAD:
        raise RegistryError(
            f"registry {url.render_as_string()} was made by a newer domain-router: its tables are at {revision}, "
            f"this version knows {tables.HEAD}: upgrade domain-router"
        )
    if revision != tables.HEAD:
        from registry.storage import migrations

        with _transaction(engine) as connection:
            migrations.upgrade(connection)
    return engine


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


def write(engine: Engine, work: Callable[[Connection], T]) -> T:
    """Run some work in one transaction, and return its result.

    On SQLite no other writer can interleave. On other databases, work that conflicts with another writer's is repeated
    on the new state.

    Raises:
        RegistryError: the database cannot be written.
    """
    with _explained(engine.url, "written"):
        for _ in range(_TRIES - 1):
            with suppress(IntegrityError), _transaction(engine) as connection:
                return work(connection)
        with _transaction(engine) as connection:
            return work(connection)


@contextmanager
def _transaction(engine: Engine) -> Iterator[Connection]:
    with engine.connect() as connection:
        connection = connection.execution_options(immediate=True)
        with connection.begin():
            yield connection


@contextmanager
def _explained(url: URL, done: str) -> Iterator[None]:
    try:
        yield
    except (SQLAlchemyError, OSError) as error:
        raise RegistryError(
            f"registry {url.render_as_string()} cannot be {done}: {_reason(error, url)}: "
            "check that it can be reached and is not locked, and your permissions, and try again"
        ) from error


def _reason(error: Exception, url: URL) -> str:
    """The database's own message, without the password."""
    reason = str(getattr(error, "orig", None) or error).partition("\n")[0]
    return reason.replace(str(url.password), "***") if url.password else reason


def _revision(engine: Engine) -> str | None:
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def _let_sqlalchemy_begin(engine: Engine) -> None:
    """Let SQLAlchemy begin transactions: the sqlite3 module would begin them too late to keep writers apart."""

    @event.listens_for(engine, "connect")
    def connect(dbapi_connection: object, _: object) -> None:
        dbapi_connection.isolation_level = None  # type: ignore[attr-defined]
        dbapi_connection.execute("PRAGMA foreign_keys = ON")  # type: ignore[attr-defined]

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get("immediate")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
