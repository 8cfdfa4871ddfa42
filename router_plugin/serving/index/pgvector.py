"""Candidates in PostgreSQL with pgvector: a table for each space, whose rows carry the space in a column."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any
from uuid import UUID

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import Connection, sql
from sqlalchemy import create_engine
from sqlalchemy.exc import SQLAlchemyError

from registry.shared.wording import first_line
from router_plugin.errors import CandidateIndexError
from router_plugin.serving.index.connecting import connect_postgresql, postgresql_faults
from router_plugin.serving.index.contract import (
    PREFIX,
    Entry,
    Held,
    Hit,
    Space,
    absent,
    check_written_in,
    read_space,
)
from router_plugin.utterances import Reading

INDEXED_FROM = 10_000
"""Fewer candidates are compared one by one, which is exact and as fast."""
WIDEST = 2000
"""Dimensions that an HNSW index takes."""
EF_SEARCH = 40
"""Of pgvector, by default."""
_CONNECTIONS = 32
_LOCK = 6_018_011
"""Advisory lock of those who make a table; the next number is that of who makes an index."""
_PAGE = 1000


class PgVectorCandidates:
    """See :class:`router_plugin.serving.index.contract.CandidateIndex`."""

    def __init__(self, store: str, seconds: int) -> None:
        """
        Args:
            store: URL, as psycopg takes it.
            seconds: that a read may take, and waiting for a connection.
        """
        self.store = store
        self._seconds = seconds
        self._engine = create_engine(
            "postgresql+psycopg://",
            creator=lambda: connect_postgresql(
                store, CandidateIndexError, connect_timeout=max(seconds, 2), tcp_user_timeout=seconds * 1000
            ),
            use_native_hstore=False,
            pool_pre_ping=True,
            pool_size=_CONNECTIONS,
            pool_timeout=seconds,
        )

    def spaces(self) -> list[Held]:
        """See :class:`CandidateIndex`."""
        with self._connected() as connection:
            tables = connection.execute(
                "SELECT relname, obj_description(oid, 'pg_class') FROM pg_class "
                "WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' AND relname ~ %s",
                (f"^{PREFIX}[0-9a-f]+$",),
            ).fetchall()
            found = [space for name, said in tables if (space := read_space(said)) and space.place == name]
            counts = [_one(connection, _sql("SELECT count(*) FROM {table}", space)) for space in found]
        return sorted(map(Held, found, counts), key=lambda each: str(each.space))

    def readings(self, space: Space, ids: Sequence[bytes]) -> dict[bytes, Reading]:
        """See :class:`CandidateIndex`."""
        query = _sql("SELECT id, space, unread, key FROM {table} WHERE id = ANY(%s)", space)
        try:
            with self._connected() as connection:
                rows = connection.execute(query, (list(map(_uuid, ids)),)).fetchall()
        except CandidateIndexError as error:
            if isinstance(error.__cause__, psycopg.errors.UndefinedTable):
                return {}
            raise
        for _, written_in, _, _ in rows:
            check_written_in(space, written_in, self.store)
        return {id_.bytes: Reading(float(unread), bytes(key)) for id_, _, unread, key in rows}

    def ids(self, space: Space) -> Iterator[list[bytes]]:
        """See :class:`CandidateIndex`."""
        query = _sql("SELECT id FROM {table} WHERE id > %s ORDER BY id LIMIT %s", space)
        last = UUID(int=0)
        while True:
            with self._reading(space) as connection:
                rows = connection.execute(query, (last, _PAGE)).fetchall()
            yield [id_.bytes for (id_,) in rows]
            if len(rows) < _PAGE:
                return
            last = rows[-1][0]

    def write(self, space: Space, entries: Sequence[Entry]) -> None:
        """See :class:`CandidateIndex`."""
        insert = _sql(
            "INSERT INTO {table} (id, space, unread, key, embedding) VALUES (%s, %s, %s, %s, %s::vector) "
            "ON CONFLICT (id) DO UPDATE SET space = EXCLUDED.space, unread = EXCLUDED.unread, key = EXCLUDED.key, "
            "embedding = EXCLUDED.embedding",
            space,
        )
        rows = [
            (
                *(_uuid(entry.id), space.identifier, entry.reading.unread, entry.reading.key),
                literal(entry.vector) if entry.readable else None,
            )
            for entry in entries
        ]
        with self._connected() as connection, connection.transaction(), connection.cursor() as cursor:
            if _one(connection, "SELECT to_regclass(%s) IS NULL", space.place):
                _make(connection, space, len(entries[0].vector))
            cursor.executemany(insert, rows)

    def complete(self, space: Space) -> None:
        """See :class:`CandidateIndex`. Many candidates get an HNSW index, unless another process is making it."""
        index = sql.Identifier(f"{space.place}_nearest")
        with self._connected() as connection:
            query = "SELECT atttypmod FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attname = 'embedding'"
            few = _one(connection, _sql("SELECT count(*) FROM {table}", space)) < INDEXED_FROM
            if few or _one(connection, query, space.place) > WIDEST:
                return
            if not _one(connection, "SELECT pg_try_advisory_lock(%s)", _LOCK + 1):
                return
            try:
                if _one(
                    connection,
                    "SELECT coalesce(bool_or(NOT indisvalid), false) FROM pg_index WHERE indexrelid = to_regclass(%s)",
                    f"{space.place}_nearest",
                ):  # what a killed process left
                    connection.execute(_sql("DROP INDEX CONCURRENTLY {}", space, index))
                make = "CREATE INDEX CONCURRENTLY IF NOT EXISTS {} ON {table} USING hnsw (embedding vector_cosine_ops)"
                connection.execute(_sql(make, space, index))
            finally:
                connection.execute("SELECT pg_advisory_unlock(%s)", (_LOCK + 1,))

    def nearest(self, space: Space, vectors: NDArray[np.float32], limit: int) -> list[list[Hit]]:
        """See :class:`CandidateIndex`."""
        query = _sql(
            "SELECT id, space, 1 - (embedding <=> %(vector)s::vector) FROM {table} WHERE embedding IS NOT NULL "
            "ORDER BY embedding <=> %(vector)s::vector LIMIT %(limit)s",
            space,
        )
        with self._reading(space, ef_search=min(max(limit, EF_SEARCH), 1000)) as connection:
            asked = [{"vector": literal(vector), "limit": limit} for vector in vectors]
            answers = [connection.execute(query, each).fetchall() for each in asked]
        return [self._hits(space, rows) for rows in answers]

    def cosines(self, space: Space, vector: NDArray[np.float32], ids: Sequence[bytes]) -> list[Hit]:
        """See :class:`CandidateIndex`."""
        query = _sql(
            "SELECT id, space, 1 - (embedding <=> %s::vector) FROM {table} "
            "WHERE id = ANY(%s) AND embedding IS NOT NULL",
            space,
        )
        with self._reading(space) as connection:
            rows = connection.execute(query, (literal(vector), list(map(_uuid, ids)))).fetchall()
        return self._hits(space, rows)

    def delete(self, space: Space, ids: Sequence[bytes]) -> None:
        """See :class:`CandidateIndex`."""
        with self._connected() as connection:
            connection.execute(_sql("DELETE FROM {table} WHERE id = ANY(%s)", space), (list(map(_uuid, ids)),))

    def drop(self, space: Space) -> None:
        """See :class:`CandidateIndex`."""
        with self._connected() as connection:
            connection.execute(_sql("DROP TABLE IF EXISTS {table}", space))

    def close(self) -> None:
        """See :class:`CandidateIndex`."""
        self._engine.dispose()

    def _hits(self, space: Space, rows: Sequence[tuple[UUID, str, float]]) -> list[Hit]:
        for _, written_in, _ in rows:
            check_written_in(space, written_in, self.store)
        return [Hit(id_.bytes, cosine) for id_, _, cosine in rows]

    @contextmanager
    def _connected(self) -> Iterator[Connection[Any]]:
        """A connection of the pool, in autocommit mode."""
        try:
            with postgresql_faults(CandidateIndexError), closing(self._engine.raw_connection()) as pooled:
                connection: Any = pooled.driver_connection
                yield connection
        except SQLAlchemyError as fault:
            raise CandidateIndexError(f"PostgreSQL: {first_line(getattr(fault, 'orig', None) or fault)}") from fault

    @contextmanager
    def _reading(self, space: Space, ef_search: int = EF_SEARCH) -> Iterator[Connection[Any]]:
        """A transaction in which a statement takes no longer than the limit, and the table must be there.

        Args:
            space: of the table.
            ef_search: candidates that a search by HNSW looks at; it looks at more where fewer than its limit are found.
        """
        try:
            with self._connected() as connection, connection.transaction():
                connection.execute(
                    "SELECT set_config('statement_timeout', %s, true), set_config('hnsw.ef_search', %s, true), "
                    "set_config('hnsw.iterative_scan', 'strict_order', true)",
                    (str(self._seconds * 1000), str(ef_search)),
                )
                yield connection
        except CandidateIndexError as error:
            if isinstance(error.__cause__, psycopg.errors.UndefinedTable):
                raise absent(space, self.spaces(), self.store) from error
            if isinstance(error.__cause__, psycopg.errors.QueryCanceled):
                raise CandidateIndexError(
                    f"{self.store} did not answer within {self._seconds} s, which `index_timeout_s` may raise"
                ) from error
            raise


def _make(connection: Connection[Any], space: Space, dimension: int) -> None:
    """Make a table, where no other process has in between."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
    if _one(connection, "SELECT to_regtype('vector') IS NULL"):
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
    connection.execute(
        _sql(
            "CREATE TABLE IF NOT EXISTS {table} (id uuid PRIMARY KEY, space text NOT NULL, unread real NOT NULL, "
            "key bytea NOT NULL, embedding vector({}))",
            *(space, sql.Literal(int(dimension))),
        )
    )
    connection.execute(_sql("COMMENT ON TABLE {table} IS {}", space, sql.Literal(space.model_dump_json())))


def _sql(query: str, space: Space, *parts: sql.Composable) -> sql.Composed:
    """A query with the name of a space's table, safely quoted."""
    return sql.SQL(query).format(*parts, table=sql.Identifier(space.place))


def _one(connection: Connection[Any], query: Any, *values: Any) -> Any:
    """The only value of the first row; 0 where there is none."""
    row = connection.execute(query, values or None).fetchone()
    return row[0] if row else 0


def _uuid(id_: bytes) -> UUID:
    return UUID(bytes=id_)


def literal(vector: NDArray[np.float32]) -> str:
    """A vector as pgvector reads it."""
    return f"[{','.join(map(repr, vector.tolist()))}]"
