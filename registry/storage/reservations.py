"""Artifacts that publications in progress reserve, so that they are not removed before a version refers to them."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta, timezone

from sqlalchemy import Connection, delete, insert, select

from registry.storage.tables import reservations

LIFETIME = timedelta(days=1)
"""A publication that takes longer is dead."""


def reserve(connection: Connection, artifact: str) -> str:
    """Reserve an artifact by its digest, whether it is stored already or not; returns the reservation's identifier."""
    identifier = secrets.token_hex(16)
    connection.execute(insert(reservations).values(id=identifier, artifact=artifact, made=datetime.now(timezone.utc)))
    return identifier


def release(connection: Connection, identifier: str) -> None:
    """End a reservation."""
    connection.execute(delete(reservations).where(reservations.c.id == identifier))


def reserved(connection: Connection) -> set[str]:
    """The digests that living publications have reserved."""
    oldest = datetime.now(timezone.utc) - LIFETIME
    return set(connection.execute(select(reservations.c.artifact).where(reservations.c.made > oldest)).scalars())
