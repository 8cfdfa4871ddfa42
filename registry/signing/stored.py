"""The signatures that a registry keeps, one a version."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select

from registry.aliasing.moves import author, now
from registry.storage.tables import signatures


def keep_signature(connection: Connection, domain: str, version: int, bundle: str) -> None:
    """Keep the signature of a version, in place of an earlier one."""
    is_its = (signatures.c.domain == domain) & (signatures.c.version == version)
    connection.execute(delete(signatures).where(is_its))
    connection.execute(
        insert(signatures).values(domain=domain, version=version, bundle=bundle, made=now(), author=author())
    )


def kept_signature(connection: Connection, domain: str, version: int) -> str | None:
    """The signature of a version; None if it has none."""
    query = select(signatures.c.bundle).where(signatures.c.domain == domain, signatures.c.version == version)
    return connection.execute(query).scalar()
