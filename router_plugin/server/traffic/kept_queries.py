"""The queries that are kept: found, and deleted for good. All functions use the file, so call them in threads."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from router_plugin.server.traffic.traffic_file import QUERY_COLUMNS, TrafficFile

_CONTAINING = "instr(folded(text), folded(?)) > 0"


class KeptQuery(NamedTuple):
    """A query, and what was decided of it.

    Attributes:
        id: larger for those that were kept later.
        time: seconds since 1970 UTC.
        text: of the query, its beginning.
        domain: whose encoder was used.
        route: empty where there is none.
        version: the encoder, like ``medical@3``.
        confidence: probability that the decision is right.
        score: cosine of the nearest candidate; None where there was nothing to compare.
        reason: why there is no route; empty where there is one.
        canary: the candidate that decided; empty where the champions did.
    """

    id: int
    time: float
    text: str
    domain: str
    route: str
    version: str
    confidence: float
    score: float | None
    reason: str
    canary: str


def find_queries(
    file: TrafficFile,
    domain: str | None = None,
    containing: str = "",
    limit: int = 100,
    before_id: int | None = None,
) -> list[KeptQuery]:
    """Kept queries, the latest first.

    Args:
        file: in which they are kept.
        domain: that they have; None for any.
        containing: text that they contain, in upper or lower case.
        limit: maximum number of them.
        before_id: their ids are below this one: the last of the page before.

    Raises:
        ServerError: the file cannot be read. So by the other functions that read.
    """
    where, values = _where(domain, containing, before_id)
    columns = ", ".join(QUERY_COLUMNS)
    with file.open() as database:
        rows = database.execute(
            f"SELECT id, {columns} FROM queries WHERE {where} ORDER BY id DESC LIMIT ?", (*values, limit)
        )
        return [KeptQuery(*row) for row in rows]


def queries_with(file: TrafficFile, ids: Iterable[int]) -> dict[int, str]:
    """The texts of the queries with some ids, by id; without those that are no longer kept."""
    with file.open() as database:
        statement = "SELECT id, text FROM queries WHERE id IN (SELECT value FROM json_each(?))"
        return dict(database.execute(statement, (json.dumps(list(ids)),)))


def count_queries(file: TrafficFile, domain: str | None = None, containing: str = "") -> int:
    """How many queries are kept; see :func:`find_queries` for the arguments."""
    where, values = _where(domain, containing)
    with file.open() as database:
        (found,) = database.execute(f"SELECT COUNT(*) FROM queries WHERE {where}", values).fetchone()
        return int(found)


def newest_id(file: TrafficFile) -> int:
    """The id of the query that was kept last; 0 without any."""
    with file.open() as database:
        return int(database.execute("SELECT COALESCE(MAX(id), 0) FROM queries").fetchone()[0])


def delete_queries(file: TrafficFile, ids: Iterable[int]) -> int:
    """Delete the queries with some ids; returns how many there were.

    Raises:
        ServerError: the file cannot be written. So by the other functions that delete.
    """
    return file.delete_queries("id IN (SELECT value FROM json_each(?))", (json.dumps(list(ids)),))


def delete_containing(file: TrafficFile, text: str) -> int:
    """Delete the queries that contain a text, in upper or lower case; returns how many there were.

    An empty text is in none of them: see :func:`delete_all`.
    """
    return file.delete_queries(_CONTAINING, (text,)) if text else 0


def delete_of_domain(file: TrafficFile, domain: str) -> int:
    """Delete the queries of a domain; returns how many there were."""
    return file.delete_queries("domain = ?", (domain,))


def delete_before(file: TrafficFile, seconds: float) -> int:
    """Delete the queries from before a time, in seconds since 1970; returns how many there were."""
    return file.delete_queries("time < ?", (seconds,))


def delete_all(file: TrafficFile) -> int:
    """Delete all queries; returns how many there were."""
    return file.delete_queries("1")


def _where(domain: str | None, containing: str, before_id: int | None = None) -> tuple[str, tuple[Any, ...]]:
    """The condition of a search in SQL, and its values."""
    wanted = {"domain = ?": domain, _CONTAINING: containing or None, "id < ?": before_id}
    known = {condition: value for condition, value in wanted.items() if value is not None}
    return " AND ".join(known) or "1", tuple(known.values())
