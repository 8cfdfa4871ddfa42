"""Publishes a model folder: its files first, then in one transaction the row that refers to them."""

from __future__ import annotations

from importlib.metadata import version as distribution_version
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection, Engine, func, insert, select

from registry.aliasing.moves import aliased, author, move, now
from registry.names import CANDIDATE, CHAMPION
from registry.records import ArtifactFile, ModelRecord, ModelVersion
from registry.storage.artifacts import ArtifactStore
from registry.storage.database import write
from registry.storage.tables import model_versions


class Published(NamedTuple):
    """A new version, and how its alias moved."""

    version: ModelVersion
    alias: str
    previous: int | None


def publish(engine: Engine, store: ArtifactStore, folder: Path, record: ModelRecord) -> Published:
    """Store a folder's files and write the row of the next version.

    Raises:
        RegistryError: the folder cannot be read, or the registry cannot be written.
    """
    artifact, files = store.put(folder)
    return write(engine, lambda connection: _add(connection, record, artifact, files))


def _add(connection: Connection, record: ModelRecord, artifact: str, files: tuple[ArtifactFile, ...]) -> Published:
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
        )
    )
    alias = CANDIDATE if version.parent else CHAMPION
    return Published(version, alias, move(connection, version.domain, alias, version.version, "publish"))
