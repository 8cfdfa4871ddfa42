"""Lists of versions, made of the columns that repeat parts of the records, so that no record is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, exists, select

from registry.names import Reference
from registry.storage.tables import aliases, model_versions

_SHOWN = (
    *(model_versions.c.domain, model_versions.c.version, model_versions.c.created, model_versions.c.base_model),
    *(model_versions.c.parent, model_versions.c.base_score, model_versions.c.adapted_score, model_versions.c.size),
    *(model_versions.c.retired, model_versions.c.deleted, model_versions.c.expires),
)


class Listed(NamedTuple):
    """A version in a list; times are in UTC, scores are MRR@5 on the test split, the size is in bytes."""

    name: str
    domain: str
    version: int
    aliases: tuple[str, ...]
    created: datetime
    base_model: str
    parent: int | None
    base_score: float | None
    adapted_score: float | None
    size: int
    retired: datetime | None
    deleted: datetime | None
    expires: datetime | None


@dataclass(frozen=True)
class Filter:
    """Which versions to list; None for no limit.

    Attributes:
        domain: of this domain.
        alias: those that this alias points to.
        base_model: adapted from this base model.
        min_score: with at least this MRR@5 on the test split.
        since: created then or later; a time without a zone is in UTC.
        until: created before.
        parent: published while this version was the champion.
        ancestors: the version itself, its parent, the parent of that, and so on.
        deleted: those that are deleted and not purged, in place of the others.
    """

    domain: str | None = None
    alias: str | None = None
    base_model: str | None = None
    min_score: float | None = None
    since: datetime | None = None
    until: datetime | None = None
    parent: Reference | None = None
    ancestors: Reference | None = None
    deleted: bool = False


def listed(connection: Connection, wanted: Filter) -> list[Listed]:
    """The versions that a filter lets pass, domain by domain, oldest first."""
    named: dict[tuple[str, int], tuple[str, ...]] = {}
    columns = (aliases.c.domain, aliases.c.version, aliases.c.alias)
    for domain, version, alias in connection.execute(select(*columns).order_by(aliases.c.alias)).all():
        named[domain, version] = (*named.get((domain, version), ()), alias)
    rows = connection.execute(_filtered(select(*_SHOWN), wanted)).all()
    return [_listed(row, named) for row in rows]


def _listed(row: Sequence[Any], named: Mapping[tuple[str, int], tuple[str, ...]]) -> Listed:
    domain, version, created, base_model, parent, base, adapted, size, retired, deleted, expires = row
    own = named.get((domain, version), ())
    retired, deleted, expires = retired and _in_utc(retired), deleted and _in_utc(deleted), expires and _in_utc(expires)
    figures = (parent, base, adapted, size, retired, deleted, expires)
    return Listed._make((f"{domain}@{version}", domain, version, own, _in_utc(created), base_model, *figures))


def _filtered(query: Select[Any], wanted: Filter) -> Select[Any]:
    table = model_versions.c
    query = query.where(table.purged.is_(None))
    query = query.where(table.deleted.is_not(None) if wanted.deleted else table.deleted.is_(None))
    if wanted.domain is not None:
        query = query.where(table.domain == wanted.domain)
    if wanted.alias is not None:
        pointing = (aliases.c.domain == table.domain) & (aliases.c.version == table.version)
        query = query.where(exists().where(pointing, aliases.c.alias == wanted.alias))
    if wanted.base_model is not None:
        query = query.where(table.base_model == wanted.base_model)
    if wanted.min_score is not None:
        query = query.where(table.adapted_score >= wanted.min_score)
    if wanted.since is not None:
        query = query.where(table.created >= _in_utc(wanted.since))
    if wanted.until is not None:
        query = query.where(table.created < _in_utc(wanted.until))
    if wanted.parent is not None:
        query = query.where(table.domain == wanted.parent.domain, table.parent == wanted.parent.version)
    if wanted.ancestors is not None:
        query = query.where(table.domain == wanted.ancestors.domain, table.version.in_(_line(wanted.ancestors)))
    return query.order_by(table.domain, table.version)


def _line(of: Reference) -> Select[Any]:
    """The numbers of a version and of its ancestors."""
    table = model_versions.c
    start = select(table.version, table.parent).where(table.domain == of.domain, table.version == of.version)
    line = start.cte(recursive=True)
    older = select(table.version, table.parent).where(table.domain == of.domain, table.version == line.c.parent)
    return select(line.union(older).c.version)


def _in_utc(time: datetime) -> datetime:
    """A time with its zone; SQLite keeps none."""
    return time.replace(tzinfo=timezone.utc) if time.tzinfo is None else time.astimezone(timezone.utc)
