"""The registry's database: opened, migrated, and written to one transaction at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.exc import SQLAlchemyError

from registry import tables
from registry.errors import RegistryError


def open_database(url: URL) -> Engine:
    """An engine on an up-to-date database; creates the file and the tables where they are missing.

    Raises:
        RegistryError: the database cannot be reached, is none of ours, or was made by a newer version.
    """
    try:
        return _open(url)
    except (SQLAlchemyError, ImportError, OSError) as error:
        reason = str(getattr(error, "orig", None) or error).partition("\n")[0]
        if url.password:
            reason = reason.replace(str(url.password), "***")
        raise RegistryError(f"registry {url.render_as_string()} cannot be opened: {reason}") from error


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
        from registry import migrations  # alembic takes half a second to import

        with writing(engine) as connection:
            migrations.upgrade(connection)
    return engine


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One transaction that no other writer can interleave with on SQLite."""
    with engine.connect() as connection:
        connection = connection.execution_options(immediate=True)
        with connection.begin():
            yield connection


def _revision(engine: Engine) -> str | None:
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def _let_sqlalchemy_begin(engine: Engine) -> None:
    """Take transaction control from the sqlite3 module, which would begin too late to keep writers apart."""

    @event.listens_for(engine, "connect")
    def connect(dbapi_connection: object, _: object) -> None:
        dbapi_connection.isolation_level = None  # type: ignore[attr-defined]
        dbapi_connection.execute("PRAGMA foreign_keys = ON")  # type: ignore[attr-defined]

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get("immediate")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
