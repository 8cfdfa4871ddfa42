"""An index in PostgreSQL with pgvector: a column for each model in the same table, and a rename as the cutover."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from psycopg import sql

from router_plugin.errors import ReindexError
from router_plugin.reindexing.index import Found, Item, State, Vectors
from router_plugin.serving.index.pgvector import literal

if TYPE_CHECKING:
    from psycopg import Connection

UNKNOWN = "unknown"
LOCK_TIMEOUT = "5s"
"""How long a cutover waits for those who use the table, and lets others wait behind it."""
_LONGEST_NAME = 63
_OTHER = "__next"


class _Column(NamedTuple):
    """A column of vectors, the model that made it, and whether every row must have one."""

    model: str
    required: bool


class PgVectorIndex:
    """A table with a key of one column, a column of texts and a column of vectors that readers search.

    While a move is under way, ``embedding__next`` is being filled, and after the cutover ``embedding__before`` has the
    vectors that served. A trigger empties the other column where a text is changed by who does not know of the move.
    The comment of a column names its model.
    """

    def __init__(self, connection: Connection[Any], table: str, text: str = "text", vector: str = "embedding") -> None:
        """
        Args:
            connection: in autocommit mode, and of this index alone.
            table: its name, with its schema if that is not on the search path.
            text: column of texts.
            vector: column of vectors.

        Raises:
            ReindexError: there is no such table, or it has another form.
        """
        self._connection, self._name, self._text, self._vector = connection, table, text, vector
        self._table = sql.Identifier(*table.split("."))
        row = self._one("SELECT to_regclass(%s)::oid", self._table.as_string(connection))
        if row is None or row[0] is None:
            raise ReindexError(f"table {table} does not exist")
        self._oid = row[0]
        keys = self._all(
            "SELECT a.attname FROM pg_index i "
            "JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey) "
            "WHERE i.indrelid = %s AND i.indisprimary",
            self._oid,
        )
        if len(keys) != 1:
            raise ReindexError(f"table {table}: expected a primary key of one column, found {len(keys)}")
        self._key = keys[0][0]
        for column in (text, vector):
            if not self._one("SELECT 1 FROM pg_attribute WHERE attrelid = %s AND attname = %s", self._oid, column):
                raise ReindexError(f"table {table} has no column {column!r}")

    @property
    def _next(self) -> str:
        return f"{self._vector}__next"

    @property
    def _before(self) -> str:
        return f"{self._vector}__before"

    def state(self) -> State:
        """See :class:`Index`."""
        columns = self._columns()
        serving, upcoming, before = (columns.get(name) for name in (self._vector, self._next, self._before))
        items = self._count("{text} IS NOT NULL AND {text} <> ''")
        missing = self._count(self._waits) if upcoming else None
        named = serving.model if serving and serving.model != UNKNOWN else None
        return State(named, upcoming.model if upcoming else None, before.model if before else None, items, missing)

    def prepare(self, model: str, dimension: int) -> None:
        """See :class:`Index`."""
        columns = self._columns()
        if columns[self._vector].model == model:
            raise ReindexError(f"{self._name} is served by {model} already")
        if self._before in columns:
            raise ReindexError(
                f"column {self._before}, which served before, is still there: finish, or roll back, first"
            )
        if known := columns.get(self._next):
            if known.model != model:
                raise ReindexError(f"a move to {known.model} is under way: cut over, or roll back, first")
            return
        if bare := self._count("({text} IS NULL OR {text} = '') AND {vector} IS NOT NULL"):
            raise ReindexError(f"{bare} rows have a vector but no text, so that they cannot be embedded")
        with self._connection.transaction():
            self._run("SET LOCAL lock_timeout = {}", sql.Literal(LOCK_TIMEOUT))
            self._run("ALTER TABLE {table} ADD COLUMN {next} vector({})", sql.Literal(int(dimension)))
            self._run("COMMENT ON COLUMN {table}.{next} IS {}", sql.Literal(model))
            self._watch_texts(self._next)

    def waiting(self, batch: int) -> Iterator[list[Item]]:
        """See :class:`Index`. Rows that wait are read from the lowest key on."""
        self._check_next()
        last: Any = None
        while True:
            after = sql.SQL("") if last is None else self._sql("AND {key} > {}", sql.Literal(last))
            query = f"SELECT {{key}}, {{text}} FROM {{table}} WHERE {self._waits} {{}} ORDER BY {{key}} LIMIT {{}}"
            rows = self._run(query, after, sql.Literal(batch)).fetchall()
            if not rows:
                return
            yield [Item(*row) for row in rows]
            last = rows[-1][0]

    def write(self, items: Sequence[Item], vectors: Vectors) -> None:
        """See :class:`Index`."""
        update = self._sql("UPDATE {table} SET {next} = %s::vector WHERE {key} = %s AND {text} = %s")
        with self._connection.transaction(), self._connection.cursor() as cursor:
            values = [(literal(vector), item.id, item.text) for item, vector in zip(items, vectors, strict=True)]
            cursor.executemany(update, values)

    def complete(self) -> None:
        """Build the indexes that the serving column has on the next one too, while the table is in use."""
        self._check_next()
        for name, definition in self._indexes():
            new = _other_name(name)
            row = self._one(
                "SELECT i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid "
                "WHERE c.relname = %s AND i.indrelid = %s",
                *(new, self._oid),
            )
            if row and row[0]:
                continue
            if row:  # what a killed process left
                self._run("DROP INDEX CONCURRENTLY {}", self._index_name(new))
            using = re.sub(
                rf'\("?{re.escape(self._vector)}"?( |\))',
                lambda found: f"({sql.Identifier(self._next).as_string(self._connection)}{found[1]}",
                definition[definition.index(" USING ") :],
                count=1,
            )
            self._run("CREATE INDEX CONCURRENTLY {} ON {table}{}", sql.Identifier(new), sql.SQL(using))

    def search(self, vector: Vectors, limit: int, upcoming: bool) -> list[Found]:
        """See :class:`Index`; by cosine distance."""
        column = sql.Identifier(self._next if upcoming else self._vector)
        rows = self._connection.execute(
            self._sql(
                "SELECT {key}, {text} FROM {table} WHERE {} IS NOT NULL ORDER BY {} <=> %s::vector LIMIT %s",
                *(column, column),
            ),
            (literal(vector), limit),
        )
        return [Found(*row) for row in rows.fetchall()]

    def upsert(self, items: Sequence[Item], by_model: Mapping[str, Vectors], others: Vectors | None) -> None:
        """See :class:`Index`. Only key, text and vectors are written; a new row needs defaults for other columns."""
        with self._connection.transaction():
            self._run("LOCK TABLE {table} IN ROW EXCLUSIVE MODE")  # keeps a cutover off until the end
            columns = {name: by_model.get(each.model, others) for name, each in self._columns().items()}
            if lacking := [name for name, vectors in columns.items() if vectors is None]:
                raise ReindexError(f"there are no vectors for {lacking[0]}: expected a model for each side")
            names = [self._key, self._text, *columns]
            insert = sql.SQL("INSERT INTO {} ({}) VALUES ({}) ON CONFLICT ({}) DO UPDATE SET {}").format(
                self._table,
                sql.SQL(", ").join(map(sql.Identifier, names)),
                sql.SQL(", ").join([sql.Placeholder()] * 2 + [sql.SQL("%s::vector")] * len(columns)),
                sql.Identifier(self._key),
                sql.SQL(", ").join(sql.SQL("{0} = EXCLUDED.{0}").format(sql.Identifier(each)) for each in names[1:]),
            )
            with self._connection.cursor() as cursor:
                cursor.executemany(
                    insert,
                    [
                        (
                            item.id,
                            item.text,
                            *(literal(vectors[row]) for vectors in columns.values() if vectors is not None),
                        )
                        for row, item in enumerate(items)
                    ],
                )

    def delete(self, ids: Sequence[Any]) -> None:
        """See :class:`Index`."""
        self._connection.execute(self._sql("DELETE FROM {table} WHERE {key} = ANY(%s)"), (list(ids),))

    def cut_over(self) -> None:
        """See :class:`Index`. One transaction, in which nobody else uses the table.

        Raises:
            ReindexError: there is no move, or rows are missing.
        """
        self._check_next()
        self._switch(self._next, self._before, self._waits, force=False)

    def roll_back(self, force: bool) -> str:
        """See :class:`Index`.

        Raises:
            ReindexError: there is nothing to go back to, or it lacks what was written since.
        """
        columns = self._columns()
        if self._next in columns:
            with self._connection.transaction():
                self._run("SET LOCAL lock_timeout = {}", sql.Literal(LOCK_TIMEOUT))
                self._drop(self._next)
            return f"gave up the move to {columns[self._next].model}; {self._vector} served all the time"
        if self._before not in columns:
            raise ReindexError(f"{self._name}: no earlier vectors are left")
        lacks = "{text} IS NOT NULL AND {text} <> '' AND {before} IS NULL AND {vector} IS NOT NULL"
        self._switch(self._before, self._next, lacks, force)
        served = columns[self._vector].model
        return (
            f"the earlier vectors serve again; those of {served} are kept: cut over again, or roll back to remove them"
        )

    def finish(self) -> None:
        """See :class:`Index`.

        Raises:
            ReindexError: nothing is left of a move.
        """
        if self._before not in self._columns():
            raise ReindexError(f"{self._name}: no earlier vectors are left")
        with self._connection.transaction():
            self._run("SET LOCAL lock_timeout = {}", sql.Literal(LOCK_TIMEOUT))
            self._drop(self._before)

    def _switch(self, serve: str, keep: str, lacks: str, force: bool) -> None:
        """Serve another column, and keep the one that served under another name."""
        with self._connection.transaction():
            self._run("SET LOCAL lock_timeout = {}", sql.Literal(LOCK_TIMEOUT))
            self._run("LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            if (missing := self._count(lacks)) and not force:
                what = "run backfill again" if serve == self._next else "`force` goes back all the same"
                raise ReindexError(f"{missing} rows have no vector in {serve} yet: {what}")
            required = self._columns()[self._vector].required
            self._run("ALTER TABLE {table} RENAME COLUMN {vector} TO {}", sql.Identifier(keep))
            self._run("ALTER TABLE {table} RENAME COLUMN {} TO {vector}", sql.Identifier(serve))
            if required and not missing:
                self._run("ALTER TABLE {table} ALTER COLUMN {} DROP NOT NULL", sql.Identifier(keep))
                self._run("ALTER TABLE {table} ALTER COLUMN {vector} SET NOT NULL")
            self._watch_texts(keep)

    def _watch_texts(self, column: str) -> None:
        """Empty a column where the text changes and its vector does not."""
        self._run(
            "CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS {}",
            sql.Literal(
                self._sql(
                    "BEGIN IF NEW.{text} IS DISTINCT FROM OLD.{text} AND NEW.{} IS NOT DISTINCT FROM OLD.{} "
                    "THEN NEW.{} := NULL; END IF; RETURN NEW; END",
                    *[sql.Identifier(column)] * 3,
                ).as_string(self._connection)
            ),
        )
        self._run(
            "CREATE OR REPLACE TRIGGER {trigger} BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION {function}()"
        )

    def _drop(self, column: str) -> None:
        self._run("DROP TRIGGER IF EXISTS {trigger} ON {table}")
        self._run("DROP FUNCTION IF EXISTS {function}()")
        self._run("ALTER TABLE {table} DROP COLUMN {}", sql.Identifier(column))

    def _columns(self) -> dict[str, _Column]:
        """The columns of vectors that there are."""
        rows = self._all(
            "SELECT attname, coalesce(col_description(attrelid, attnum), %s), attnotnull FROM pg_attribute "
            "WHERE attrelid = %s AND attname = ANY(%s) AND NOT attisdropped",
            *(UNKNOWN, self._oid, [self._vector, self._next, self._before]),
        )
        return {name: _Column(model, required) for name, model, required in rows}

    def _indexes(self) -> list[tuple[str, str]]:
        """Name and definition of the indexes on the serving column alone."""
        rows = self._all(
            "SELECT c.relname, pg_get_indexdef(i.indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid "
            "JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] "
            "WHERE i.indrelid = %s AND i.indnatts = 1 AND a.attname = %s AND i.indisvalid",
            *(self._oid, self._vector),
        )
        return [(name, definition) for name, definition in rows]

    def _index_name(self, name: str) -> sql.Identifier:
        return sql.Identifier(*self._name.split(".")[:-1], name)

    def _check_next(self) -> None:
        if self._next not in self._columns():
            raise ReindexError(f"{self._name}: no move is under way: run backfill")

    _waits = "{text} IS NOT NULL AND {text} <> '' AND {next} IS NULL"

    def _count(self, where: str) -> int:
        row = self._run(f"SELECT count(*) FROM {{table}} WHERE {where}").fetchone()
        return int(row[0]) if row else 0

    def _run(self, query: str, *parts: sql.Composable) -> Any:
        return self._connection.execute(self._sql(query, *parts))

    def _sql(self, query: str, *parts: sql.Composable) -> sql.Composed:
        """A query with the names of this table, safely quoted."""
        helper = f"{self._name.rpartition('.')[2]}_{self._vector}_texts"[:_LONGEST_NAME]
        schema = self._name.split(".")[:-1]
        return sql.SQL(query).format(
            *parts,
            table=self._table,
            key=sql.Identifier(self._key),
            text=sql.Identifier(self._text),
            vector=sql.Identifier(self._vector),
            next=sql.Identifier(self._next),
            before=sql.Identifier(self._before),
            function=sql.Identifier(*schema, helper),
            trigger=sql.Identifier(helper),
        )

    def _one(self, query: str, *values: Any) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = self._connection.execute(query, values).fetchone()
        return row

    def _all(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        return self._connection.execute(query, values).fetchall()


def _other_name(index: str) -> str:
    """The name of an index on the other column; every second move, it is the first one again."""
    return index.removesuffix(_OTHER) if index.endswith(_OTHER) else index[: _LONGEST_NAME - len(_OTHER)] + _OTHER
