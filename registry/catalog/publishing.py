"""Publishes a model folder: its files first, then in one transaction the row that refers to them."""

from __future__ import annotations

from contextlib import suppress
from importlib.metadata import version as distribution_version
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection, Engine, func, insert, select

from registry.aliasing.moves import Reason, aliased, author, move, now
from registry.errors import RegistryError
from registry.names import CANDIDATE, CHAMPION
from registry.records import TEST, ArtifactFile, ModelRecord, ModelVersion
from registry.storage.artifacts import ArtifactStore
from registry.storage.database import write
from registry.storage.file_lists import digest_of
from registry.storage.reservations import release, reserve
from registry.storage.tables import model_versions
from registry.webhooks.events import tell_of_version

SCORE = "mrr@5"
"""The metric of the test split that lists show."""


class Published(NamedTuple):
    """A new version, and how its alias moved."""

    version: ModelVersion
    alias: str
    previous: int | None


def publish(engine: Engine, store: ArtifactStore, folder: Path, record: ModelRecord, why: str | None) -> Published:
    """Store a folder's files and write the row of the next version.

    The artifact is reserved meanwhile, so that no collection of unused artifacts removes it.

    Raises:
        RegistryError: the folder cannot be read or changes meanwhile, or the registry cannot be written.
    """
    expected = digest_of(folder)
    reservation = write(engine, lambda connection: reserve(connection, expected))
    try:
        artifact, files = store.put(folder)
        if artifact != expected:
            raise RegistryError(f"{folder} was changed while it was stored: try again")
        return write(engine, lambda connection: _add(connection, record, artifact, files, reservation, why))
    except BaseException:
        with suppress(RegistryError):  # it ends by itself
            write(engine, lambda connection: release(connection, reservation))
        raise


def _add(
    connection: Connection,
    record: ModelRecord,
    artifact: str,
    files: tuple[ArtifactFile, ...],
    reservation: str,
    why: str | None,
) -> Published:
    newest = select(func.max(model_versions.c.version)).where(model_versions.c.domain == record.domain)
    version = ModelVersion(
        **record.model_dump(include=set(ModelRecord.model_fields)),
        version=(connection.execute(newest).scalar() or 0) + 1,
        created=now(),
        author=author(),
        code_version=distribution_version("domain-router"),
        parent=aliased(connection, record.domain, CHAMPION),
        artifact=artifact,
        files=files,
    )
    connection.execute(
        insert(model_versions).values(
            domain=version.domain,
            version=version.version,
            created=version.created,
            record=version.model_dump(mode="json"),
            artifact=artifact,
            base_model=version.base_model.name,
            parent=version.parent,
            base_score=version.base_metrics.get(TEST, {}).get(SCORE),
            adapted_score=version.adapted_metrics.get(TEST, {}).get(SCORE),
            size=version.size,
        )
    )
    release(connection, reservation)
    tell_of_version(connection, version.domain, version.version)
    alias = CANDIDATE if version.parent else CHAMPION
    previous = move(connection, version.domain, alias, version.version, Reason("publish", why))
    return Published(version, alias, previous)
