"""Opens an index of candidates by the address of its store."""

from __future__ import annotations

from importlib.util import find_spec
from urllib.parse import parse_qs, urlsplit

from router_plugin.errors import CandidateIndexError
from router_plugin.serving.index.connecting import KEY_VARIABLE, is_postgresql
from router_plugin.serving.index.contract import CandidateIndex


def open_index(store: str, seconds: int) -> CandidateIndex:
    """An index. A server is not asked before the first use.

    Args:
        store: ``http://``, ``https://`` or ``qdrant://`` of a Qdrant, the folder of an embedded one, or
            ``postgresql://`` with pgvector. Without a password, which would stand in lists of processes and in logs.
        seconds: that a read may take.

    Raises:
        CandidateIndexError: the address is malformed or has a password, a library is not installed, or an embedded
            Qdrant cannot be opened.
    """
    _check_without_secret(store)
    if is_postgresql(store):
        _check_installed("pgvector", "psycopg")
        from router_plugin.serving.index.pgvector import PgVectorCandidates

        return PgVectorCandidates(store, seconds)
    _check_installed("qdrant", "qdrant_client")
    from router_plugin.serving.index.qdrant import QdrantCandidates

    return QdrantCandidates(store, seconds)


def _check_without_secret(store: str) -> None:
    try:
        parts = urlsplit(store)
        secret = parts.password or "password" in parse_qs(parts.query)
    except ValueError as error:
        raise CandidateIndexError("the address of the index is malformed") from error
    if secret:
        variable = "PGPASSWORD" if is_postgresql(store) else KEY_VARIABLE
        raise CandidateIndexError(f"the address of the index has a password: leave it out, and set {variable}")


def _check_installed(extra: str, module: str) -> None:
    if find_spec(module) is None:
        raise CandidateIndexError(
            f"this index needs {module}, which is not installed: pip install 'domain-router[{extra}]'"
        )
