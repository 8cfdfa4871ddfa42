"""The end of a version: retired, deleted, brought back, and purged when its grace period is over."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from sqlalchemy import ColumnElement, Connection, Update, and_, exists, select, update

from registry.aliasing.moves import Reason, aliased, move, now
from registry.aliasing.standing import check_alive
from registry.errors import NotRegisteredError, RegistryError
from registry.names import CANDIDATE, CHAMPION
from registry.storage.tables import aliases, model_versions

GRACE_DAYS = 30.0
"""Days for which a deleted version can be brought back, unless others are asked for."""


def retire(connection: Connection, domain: str, version: int, why: str | None, key: str | None) -> bool:
    """Let a version not be promoted any more; returns whether it was the candidate, which it no longer is.

    Raises:
        NotPermittedError: it is the candidate, and that alias is protected from this user.
        NotRegisteredError: it is not there, or is deleted.
        RegistryError: it is the champion.
    """
    check_alive(connection, domain, version)
    if aliased(connection, domain, CHAMPION) == version:
        raise RegistryError(f"{domain}@{version} is the champion: promote another version first")
    connection.execute(_change(domain, version, model_versions.c.retired.is_(None)).values(retired=now()))
    was_candidate = aliased(connection, domain, CANDIDATE) == version
    if was_candidate:
        move(connection, domain, CANDIDATE, None, Reason("retire", why, key=key))
    return was_candidate


def undo_retirement(connection: Connection, domain: str, version: int) -> None:
    """Let a version be promoted again.

    Raises:
        NotRegisteredError: it is not there, or is deleted.
    """
    check_alive(connection, domain, version)
    connection.execute(_change(domain, version).values(retired=None))


def delete(connection: Connection, domain: str, version: int, grace: timedelta) -> datetime:
    """Delete a version; returns the time until which it can be brought back.

    Raises:
        NotRegisteredError: it is not there, or is deleted already.
        RegistryError: an alias points to it.
    """
    check_alive(connection, domain, version)
    query = select(aliases.c.alias).where(aliases.c.domain == domain, aliases.c.version == version)
    if pointing := connection.execute(query.order_by(aliases.c.alias)).scalars().all():
        raise RegistryError(
            f"{domain}@{version} is {', '.join(pointing)}: "
            + (
                "promote another version first"
                if CHAMPION in pointing
                else f"retire it first with 'models retire {domain}@{version}'"
                if CANDIDATE in pointing
                else f"remove the alias first with 'models alias {domain} {pointing[0]} --remove'"
            )
        )
    expires = now() + grace
    connection.execute(_change(domain, version).values(deleted=now(), expires=expires))
    return expires


def restore(connection: Connection, domain: str, version: int) -> None:
    """Bring a deleted version back, which is possible until it is purged.

    Raises:
        NotRegisteredError: it is not there, or is purged.
    """
    row = connection.execute(select(model_versions.c.purged).where(_is(domain, version))).first()
    if row is None:
        raise NotRegisteredError(f"{domain}@{version} is not registered")
    if row.purged is not None:
        check_alive(connection, domain, version)
    connection.execute(_change(domain, version).values(deleted=None, expires=None))


def expired() -> ColumnElement[bool]:
    """Of which versions the grace period is over, and nothing points to them."""
    same = and_(aliases.c.domain == model_versions.c.domain, aliases.c.version == model_versions.c.version)
    return and_(
        model_versions.c.deleted.is_not(None),
        model_versions.c.purged.is_(None),
        model_versions.c.expires <= datetime.now(timezone.utc),
        ~exists().where(same),
    )


def expired_names(connection: Connection) -> list[str]:
    """The names of those versions, in order."""
    query = select(model_versions.c.domain, model_versions.c.version).where(expired())
    return [f"{row.domain}@{row.version}" for row in connection.execute(query.order_by(*query.selected_columns))]


def purge(connection: Connection) -> list[str]:
    """Purge those versions; their rows stay, so that no number is given twice."""
    names = expired_names(connection)
    connection.execute(update(model_versions).where(expired()).values(purged=now()))
    return names


def _change(domain: str, version: int, *also: ColumnElement[bool]) -> Update:
    return update(model_versions).where(_is(domain, version), *also)


def _is(domain: str, version: int) -> ColumnElement[bool]:
    return and_(model_versions.c.domain == domain, model_versions.c.version == version)
