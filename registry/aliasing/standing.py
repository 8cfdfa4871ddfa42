"""Which versions an alias may point at: none that is deleted, and the champion is none that is retired."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, and_, select

from registry.aliasing.moves import champion_line
from registry.errors import NotRegisteredError, RegistryError
from registry.names import CANDIDATE, CHAMPION, check_alias
from registry.storage.tables import model_versions


def check_alive(connection: Connection, domain: str, version: int) -> None:
    """Make sure that a version is there and not deleted.

    Raises:
        NotRegisteredError: it is not.
    """
    columns = select(model_versions.c.deleted, model_versions.c.purged)
    row = connection.execute(columns.where(_is(domain, version))).first()
    if row is None:
        raise NotRegisteredError(f"{domain}@{version} is not registered")
    if row.purged is not None:
        raise NotRegisteredError(f"{domain}@{version} was deleted for good: publish the model again")
    if row.deleted is not None:
        raise NotRegisteredError(
            f"{domain}@{version} was deleted: 'models restore {domain}@{version}' brings it back until it is purged"
        )


def promotable(connection: Connection, domain: str) -> set[int]:
    """The versions of a domain that may become the champion."""
    query = select(model_versions.c.version).where(
        model_versions.c.domain == domain, model_versions.c.retired.is_(None), model_versions.c.deleted.is_(None)
    )
    return set(connection.execute(query).scalars())


def earlier_champion(connection: Connection, domain: str) -> int | None:
    """The champion that a rollback restores; None if there is none."""
    line, allowed = champion_line(connection, domain), promotable(connection, domain)
    return next((number for number in reversed(line[:-1]) if number in allowed and number != line[-1]), None)


def check_custom(alias: str) -> str:
    """Return the name of an alias that users may move by hand.

    Raises:
        InvalidNameError: it is no name of an alias.
        RegistryError: it is the champion, or the candidate.
    """
    if check_alias(alias) in (CHAMPION, CANDIDATE):
        raise RegistryError(
            f"alias {alias!r} is moved by publishing, 'models promote', 'rollback' and 'retire': choose another name"
        )
    return alias


def _is(domain: str, version: int) -> ColumnElement[bool]:
    return and_(model_versions.c.domain == domain, model_versions.c.version == version)
