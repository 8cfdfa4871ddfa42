"""Connects to Qdrant and PostgreSQL by the address of the store, and puts what they say into errors of ours."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from registry import DomainRouterError
from registry.shared.wording import first_line

if TYPE_CHECKING:
    from psycopg import Connection
    from qdrant_client import QdrantClient

KEY_VARIABLE = "QDRANT_API_KEY"

Kind = type[DomainRouterError]
"""Of the errors that are raised."""


def is_postgresql(store: str) -> bool:
    """Whether an address is that of a PostgreSQL; others are of Qdrant."""
    return store.startswith(("postgresql://", "postgres://"))


def is_embedded(store: str) -> bool:
    """Whether an address of a Qdrant is the folder of an embedded one."""
    return not store.startswith(("http://", "https://", "qdrant://"))


def connect_qdrant(store: str, kind: Kind, seconds: int | None = None) -> QdrantClient:
    """A Qdrant.

    Args:
        store: its URL, ``http://``, ``https://`` or ``qdrant://``, whose key is in ``QDRANT_API_KEY``; or the folder of
            an embedded one, which one process has at a time.
        kind: of the errors.
        seconds: that a request may take.

    Raises:
        DomainRouterError: of that kind: there is no such folder, or another process has it open.
    """
    from qdrant_client import QdrantClient

    from registry.paths import local_path

    if not is_embedded(store):
        url = "http://" + store.removeprefix("qdrant://") if store.startswith("qdrant://") else store
        with warnings.catch_warnings():  # of a key that goes over http
            warnings.simplefilter("ignore")
            key = os.environ.get(KEY_VARIABLE)
            return QdrantClient(url=url, api_key=key, timeout=seconds, check_compatibility=False)
    folder = local_path(store, kind)
    if not folder.is_dir():
        raise kind(f"{store}: expected the URL of a Qdrant, the folder of an embedded one, or postgresql://")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return QdrantClient(path=str(folder), force_disable_check_same_thread=True)
    except RuntimeError as fault:
        raise kind(f"Qdrant in {store}: {first_line(fault)}") from fault


@contextmanager
def qdrant_faults(store: str, kind: Kind) -> Iterator[None]:
    """What Qdrant raises, as errors of a kind of ours."""
    import httpx
    from qdrant_client.http.exceptions import ApiException

    try:
        yield
    except (ApiException, httpx.HTTPError, ConnectionError) as fault:
        raise kind(f"Qdrant at {store}: {first_line(fault)}") from fault


def connect_postgresql(store: str, kind: Kind, **parameters: Any) -> Connection[Any]:
    """A connection to PostgreSQL in autocommit mode.

    Args:
        store: URL, as psycopg takes it; the password is best in ``PGPASSWORD`` or in ``~/.pgpass``.
        kind: of the errors.
        parameters: of libpq, in addition.

    Raises:
        DomainRouterError: of that kind: the URL is malformed.
        psycopg.Error: see :func:`postgresql_faults`.
    """
    import psycopg

    try:
        psycopg.conninfo.conninfo_to_dict(store)
    except psycopg.Error as fault:  # whose text may show a part of the password
        raise kind("the URL of PostgreSQL is malformed: write % as %25, @ as %40 and / as %2F") from fault
    return psycopg.connect(store, autocommit=True, **parameters)


@contextmanager
def postgresql_faults(kind: Kind, table: str = "a table") -> Iterator[None]:
    """What PostgreSQL raises, as errors of a kind of ours.

    Args:
        kind: of the errors.
        table: that is used.
    """
    import psycopg

    try:
        yield
    except psycopg.errors.LockNotAvailable as fault:
        raise kind(f"table {table} was in use for too long: nothing was changed, try again") from fault
    except psycopg.Error as fault:  # whose text does not show the password
        raise kind(f"PostgreSQL: {first_line(fault)}") from fault
