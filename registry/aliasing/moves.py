"""Moves of an alias, each recorded with who made it and when."""

from __future__ import annotations

import getpass
from datetime import datetime, timezone

from sqlalchemy import Connection, delete, insert, select

from registry.names import CHAMPION
from registry.storage.tables import alias_moves, aliases

ROLLBACK = "rollback"


def aliased(connection: Connection, domain: str, alias: str) -> int | None:
    """The version that an alias refers to; None if there is no such alias."""
    query = select(aliases.c.version).where(aliases.c.domain == domain, aliases.c.alias == alias)
    return connection.execute(query).scalar()


def move(connection: Connection, domain: str, alias: str, version: int, kind: str) -> int | None:
    """Point an alias at a version and record that; returns the version that it pointed at before.

    Nothing is recorded of a move to where the alias is.

    Args:
        connection: in a transaction.
        domain: of the alias.
        alias: to be moved.
        version: that it shall point at.
        kind: the operation: publish, promote or rollback.
    """
    previous = aliased(connection, domain, alias)
    if previous == version:
        return previous
    connection.execute(delete(aliases).where(aliases.c.domain == domain, aliases.c.alias == alias))
    connection.execute(insert(aliases).values(domain=domain, alias=alias, version=version))
    connection.execute(
        insert(alias_moves).values(
            domain=domain,
            alias=alias,
            version=version,
            previous=previous,
            kind=kind,
            moved=now(),
            author=author(),
        )
    )
    return previous


def champion_line(connection: Connection, domain: str) -> list[int]:
    """The domain's champions up to the present one; a rollback removes the last one."""
    query = select(alias_moves.c.version, alias_moves.c.kind).where(
        alias_moves.c.domain == domain, alias_moves.c.alias == CHAMPION
    )
    line: list[int] = []
    for row in connection.execute(query.order_by(alias_moves.c.id)):
        if row.kind == ROLLBACK:
            line.pop()
        else:
            line.append(row.version)
    return line


def now() -> datetime:
    """The time of a change, in UTC."""
    return datetime.now(timezone.utc)


def author() -> str:
    """Who makes a change: the user of this process."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container's user may have no name
        return "unknown"
