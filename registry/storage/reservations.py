"""Artifacts that publications in progress reserve, so that they are not removed before a version refers to them.

A reservation holds as long as its row exists, whatever the clocks of the machines say.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta, timezone

from sqlalchemy import ColumnElement, Connection, delete, insert, select

from registry.storage.tables import reservations

LIFETIME = timedelta(days=1)
"""A publication that takes longer is dead."""


def reserve(connection: Connection, artifact: str) -> str:
    """Reserve an artifact by its digest, whether it is stored already or not; returns the reservation's identifier."""
    identifier = secrets.token_hex(16)
    connection.execute(insert(reservations).values(id=identifier, artifact=artifact, made=datetime.now(timezone.utc)))
    return identifier


def release(connection: Connection, identifier: str) -> bool:
    """End a reservation; returns whether it held until now."""
    return connection.execute(delete(reservations).where(reservations.c.id == identifier)).rowcount == 1


def end_dead(connection: Connection) -> None:
    """End the reservations of publications that must have died."""
    connection.execute(delete(reservations).where(_is_dead()))


def is_reserved(connection: Connection, artifact: str, *, by_the_dead: bool = True) -> bool:
    """Whether an artifact is reserved.

    Args:
        connection: to the database.
        artifact: its digest.
        by_the_dead: whether reservations count that :func:`end_dead` would end.
    """
    query = select(reservations.c.id).where(reservations.c.artifact == artifact)
    return connection.execute(query if by_the_dead else query.where(~_is_dead())).first() is not None


def _is_dead() -> ColumnElement[bool]:
    return reservations.c.made <= datetime.now(timezone.utc) - LIFETIME
