"""Moves of an alias, each recorded with who made it, when and why."""

from __future__ import annotations

import getpass
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from sqlalchemy import Connection, delete, insert, select, text

from registry.errors import ChangedError, RegistryError
from registry.names import CHAMPION
from registry.policies.rights import check_rights
from registry.storage.tables import alias_moves, aliases
from registry.webhooks.events import tell_of_move

ROLLBACK = "rollback"
LONGEST_WHY = 2000
"""Characters of a reason."""
_LONGEST_NAME = 100


@dataclass(frozen=True)
class Mover:
    """Who moves an alias through a program that others run, such as a server.

    Attributes:
        name: which the history has beside the user of the process.
        key: that opens protected aliases, in place of the process's own; not recorded.

    Raises:
        RegistryError: the name is empty or too long, or holds what cannot be printed.
    """

    name: str
    key: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not 0 < len(self.name) <= _LONGEST_NAME or not self.name.isprintable():
            raise RegistryError(f"the name of who moves an alias has 1 to {_LONGEST_NAME} printable characters")


@dataclass(frozen=True)
class Reason:
    """Why an alias moves: the operation, the words of its author, and the verdicts of the gate that was asked.

    The key, which opens protected aliases, is not recorded. The mover's name is, where it is not this process's user.

    Raises:
        RegistryError: the words are too long, or hold what cannot be printed.
    """

    kind: str
    why: str | None = None
    gate: list[dict[str, Any]] = field(default_factory=list)
    forced: bool = False
    key: str | None = field(default=None, repr=False)
    mover: str | None = None

    def __post_init__(self) -> None:
        if self.why and (len(self.why) > LONGEST_WHY or not self.why.replace("\n", " ").isprintable()):
            raise RegistryError(f"`why` may have {LONGEST_WHY:,} characters, and none that cannot be printed")


def aliased(connection: Connection, domain: str, alias: str) -> int | None:
    """The version that an alias refers to; None if there is no such alias."""
    query = select(aliases.c.version).where(aliases.c.domain == domain, aliases.c.alias == alias)
    return connection.execute(query).scalar()


def move(connection: Connection, domain: str, alias: str, version: int | None, reason: Reason) -> int | None:
    """Point an alias at a version, or remove it, and record that; returns the version that it pointed at before.

    Nothing is recorded of a move to where the alias is. Webhooks are told of all others.

    Raises:
        NotPermittedError: the alias is protected from this user.
    """
    previous = aliased(connection, domain, alias)
    if previous == version:
        return previous
    check_rights(connection, domain, alias, reason.key)
    connection.execute(delete(aliases).where(aliases.c.domain == domain, aliases.c.alias == alias))
    if version is not None:
        connection.execute(insert(aliases).values(domain=domain, alias=alias, version=version))
    connection.execute(
        insert(alias_moves).values(
            domain=domain,
            alias=alias,
            version=version,
            previous=previous,
            kind=reason.kind,
            moved=now(),
            author=_author_on(connection, reason.mover),
            why=reason.why,
            gate=reason.gate or None,
            forced=reason.forced,
        )
    )
    tell_of_move(connection, domain, alias, version, previous)
    return previous


def check_champion(connection: Connection, domain: str, expected: int | None) -> None:
    """Make sure that the champion is the one that is to be replaced.

    Args:
        connection: in the transaction of the move.
        domain: whose champion it is.
        expected: its number; 0 for none, None where it may be any.

    Raises:
        ChangedError: it is another one.
    """
    champion = aliased(connection, domain, CHAMPION) or 0
    if expected not in (None, champion):
        now_is = f"is {domain}@{champion} now" if champion else "was removed"
        raise ChangedError(f"the champion of {domain} {now_is}: nothing was changed: look again before you move it")


def champion_line(connection: Connection, domain: str) -> list[int]:
    """The domain's champions up to the present one; a rollback removes those after the one that it goes back to."""
    query = select(alias_moves.c.version, alias_moves.c.kind).where(
        alias_moves.c.domain == domain, alias_moves.c.alias == CHAMPION
    )
    line: list[int] = []
    for row in connection.execute(query.order_by(alias_moves.c.id)):
        if row.kind == ROLLBACK:
            line.pop()
            while line[-1] != row.version:
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


def _author_on(connection: Connection, mover: str | None) -> str:
    """The same with the database's user, where it knows users of its own and has another name for this one.

    Args:
        connection: in the transaction of the change.
        mover: who had this process make it; None for its user.
    """
    name = f"{mover} through {author()}" if mover else author()
    if connection.dialect.name != "postgresql":
        return name
    user = connection.execute(text("SELECT session_user")).scalar()
    return name if user == author() else f"{name} as {user}"
