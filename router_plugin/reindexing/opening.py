"""Opens an index by the address of its store."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from router_plugin.errors import ReindexError

if TYPE_CHECKING:
    from router_plugin.reindexing.pgvector import PgVectorIndex
    from router_plugin.reindexing.qdrant import QdrantIndex

KEY_VARIABLE = "QDRANT_API_KEY"


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
    import httpx
    from qdrant_client import QdrantClient
    from qdrant_client.http.exceptions import ApiException

    from registry.paths import local_path
    from router_plugin.reindexing.qdrant import QdrantIndex

    remote = store.startswith(("http://", "https://"))
    folder = None if remote else local_path(store, ReindexError)
    if folder is not None and not folder.is_dir():
        raise ReindexError(f"{store}: expected the URL of a Qdrant, the folder of an embedded one, or postgresql://")
    try:
        with warnings.catch_warnings():  # one of them says that the server cannot be reached, as the error will
            warnings.simplefilter("ignore")
            client = (
                QdrantClient(url=store, api_key=os.environ.get(KEY_VARIABLE))
                if remote
                else QdrantClient(path=str(folder))
            )
        try:
            yield QdrantIndex(client, alias, text, vector)
        finally:
            client.close()
    except (ApiException, httpx.HTTPError, ConnectionError) as error:
        raise ReindexError(f"Qdrant at {store}: {_first_line(error)}") from error
    except RuntimeError as error:  # an embedded one that another process has open
        raise ReindexError(f"Qdrant in {store}: {_first_line(error)}") from error


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
    import psycopg

    from router_plugin.reindexing.pgvector import PgVectorIndex

    try:
        psycopg.conninfo.conninfo_to_dict(store)
    except psycopg.Error as error:  # whose text may show a part of the password
        raise ReindexError("the URL of PostgreSQL is malformed: write % as %25, @ as %40 and / as %2F") from error
    try:
        with psycopg.connect(store, autocommit=True) as connection:
            yield PgVectorIndex(connection, table, text, vector)
    except psycopg.errors.LockNotAvailable as error:
        raise ReindexError(f"table {table} was in use for too long: nothing was changed, try again") from error
    except psycopg.Error as error:  # whose text does not show the password
        raise ReindexError(f"PostgreSQL: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
