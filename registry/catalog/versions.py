"""Reads the versions of a registry with their records."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from pydantic import ValidationError
from sqlalchemy import URL, Connection, Row, Select, select

from registry.aliasing.standing import check_alive
from registry.errors import RegistryError
from registry.names import CHAMPION, Reference
from registry.records import ModelVersion
from registry.shared.wording import first_fault
from registry.storage.tables import aliases, model_versions

_TABLE = model_versions.c


def every_version(
    connection: Connection, domain: str | None = None, numbers: Collection[int] | None = None
) -> list[ModelVersion]:
    """Every version that is not deleted, or those of one domain or with some numbers; in the order of both."""
    query = select(model_versions).where(_TABLE.deleted.is_(None)).order_by(_TABLE.domain, _TABLE.version)
    if domain is not None:
        query = query.where(_TABLE.domain == domain)
    return _all(connection, query if numbers is None else query.where(_TABLE.version.in_(numbers)))


def champions(connection: Connection) -> list[ModelVersion]:
    """The champion of every domain, in order of domain name."""
    same = (aliases.c.domain == _TABLE.domain) & (aliases.c.version == _TABLE.version)
    query = select(model_versions).join(aliases, same).where(aliases.c.alias == CHAMPION)
    return _all(connection, query.order_by(_TABLE.domain))


def numbers_of(connection: Connection, domain: str) -> list[int]:
    """The numbers of a domain's versions that are not deleted, in order."""
    query = select(_TABLE.version).where(_TABLE.domain == domain, _TABLE.deleted.is_(None))
    return list(connection.execute(query.order_by(_TABLE.version)).scalars())


def domains_of(connection: Connection) -> list[str]:
    """The domains that have a version which is not deleted, in order."""
    query = select(_TABLE.domain).where(_TABLE.deleted.is_(None)).distinct()
    return list(connection.execute(query.order_by(_TABLE.domain)).scalars())


def find(connection: Connection, wanted: Reference) -> ModelVersion | None:
    """The version that a reference names; None if there is none.

    Raises:
        NotRegisteredError: it is deleted.
    """
    number: Any = wanted.version
    if wanted.alias:
        query = select(aliases.c.version).where(aliases.c.domain == wanted.domain, aliases.c.alias == wanted.alias)
        number = query.scalar_subquery()
    row = connection.execute(
        select(model_versions).where(_TABLE.domain == wanted.domain, _TABLE.version == number)
    ).first()
    if row is not None and row.deleted is not None:
        check_alive(connection, row.domain, row.version)
    return None if row is None else _parsed(row, connection.engine.url)


def with_artifact(connection: Connection, artifact: str, domain: str | None = None) -> ModelVersion | None:
    """The newest version with some files, of the last domain by name, or of the one given; None if there is none."""
    query = select(model_versions).where(_TABLE.artifact == artifact, _TABLE.deleted.is_(None))
    if domain is not None:
        query = query.where(_TABLE.domain == domain)
    row = connection.execute(query.order_by(_TABLE.domain.desc(), _TABLE.version.desc()).limit(1)).first()
    return None if row is None else _parsed(row, connection.engine.url)


def _all(connection: Connection, query: Select[Any]) -> list[ModelVersion]:
    return [_parsed(row, connection.engine.url) for row in connection.execute(query)]


def _parsed(row: Row[Any], url: URL) -> ModelVersion:
    try:
        return ModelVersion.model_validate(row.record)
    except ValidationError as error:
        raise RegistryError(
            f"the record of {row.domain}@{row.version} in {url.render_as_string()} cannot be read: "
            f"{first_fault(error)}: another build of domain-router wrote it: upgrade if that is a newer one, "
            "else publish the model again"
        ) from error
