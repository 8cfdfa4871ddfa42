"""Opens an index by the address of its store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from router_plugin.errors import ReindexError
from router_plugin.serving.index.connecting import (
    connect_postgresql,
    connect_qdrant,
    postgresql_faults,
    qdrant_faults,
)

if TYPE_CHECKING:
    from router_plugin.reindexing.pgvector import PgVectorIndex
    from router_plugin.reindexing.qdrant import QdrantIndex


@contextmanager
def open_qdrant(store: str, alias: str, text: str = "text", vector: str = "") -> Iterator[QdrantIndex]:
    """An index in Qdrant.

    Args:
        store: its URL, whose key is in ``QDRANT_API_KEY``; or the folder of an embedded one.
        alias: that readers use.
        text: field of the payload with the text.
        vector: name of the vector; empty for the unnamed one.

    Raises:
        ReindexError: it cannot be reached or refuses, or there is no such alias.
    """
    from router_plugin.reindexing.qdrant import QdrantIndex

    with qdrant_faults(store, ReindexError), closing(connect_qdrant(store, ReindexError)) as client:
        yield QdrantIndex(client, alias, text, vector)


@contextmanager
def open_pgvector(store: str, table: str, text: str = "text", vector: str = "embedding") -> Iterator[PgVectorIndex]:
    """A table in PostgreSQL with pgvector.

    Args:
        store: URL, as psycopg takes it.
        table: its name.
        text: column of texts.
        vector: column of vectors.

    Raises:
        ReindexError: it cannot be reached, or refuses, or has another form.
    """
    from router_plugin.reindexing.pgvector import PgVectorIndex

    with postgresql_faults(ReindexError, table), connect_postgresql(store, ReindexError) as connection:
        yield PgVectorIndex(connection, table, text, vector)
