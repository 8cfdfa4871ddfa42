"""The history of aliases: every move, and what an alias referred to at a time."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any

from pydantic import Field
from sqlalchemy import Connection, select

from registry.records import Record
from registry.storage.tables import alias_moves


class Move(Record):
    """One move of an alias."""

    domain: str
    alias: str
    version: int | None = Field(description="None if the alias was removed")
    previous: int | None
    kind: str = Field(description="the operation, such as publish, promote or rollback")
    moved: datetime
    author: str
    why: str | None
    gate: list[dict[str, Any]] = Field(description="the verdicts of the gate that was asked")
    forced: bool


def history(connection: Connection, domain: str, alias: str | None = None) -> list[Move]:
    """Every move of a domain's aliases, or of one of them, oldest first."""
    query = select(alias_moves).where(alias_moves.c.domain == domain)
    if alias is not None:
        query = query.where(alias_moves.c.alias == alias)
    return [_move(row._mapping) for row in connection.execute(query.order_by(alias_moves.c.id))]


def at(moves: Iterable[Move], time: datetime) -> dict[str, int]:
    """Alias to version number as they were at a time.

    Args:
        moves: in the order in which they were recorded.
        time: one without a time zone is in UTC.
    """
    until = _in_utc(time)
    found: dict[str, int] = {}
    for move in moves:
        if move.moved > until:
            continue
        if move.version is None:
            found.pop(move.alias, None)
        else:
            found[move.alias] = move.version
    return found


def _move(row: Any) -> Move:
    told = {name: row[name] for name in Move.model_fields}
    return Move(**{**told, "moved": _in_utc(row["moved"]), "gate": row["gate"] or []})


def _in_utc(time: datetime) -> datetime:
    """A time with its zone; SQLite keeps none."""
    return time.replace(tzinfo=timezone.utc) if time.tzinfo is None else time.astimezone(timezone.utc)
