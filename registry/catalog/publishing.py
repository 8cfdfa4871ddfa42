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
from registry.policies.stored import policy_of
from registry.records import TEST, ArtifactFile, ModelRecord, ModelVersion, Origin
from registry.signing.stored import keep_signature
from registry.storage.database import write
from registry.storage.file_kinds import check_arrays
from registry.storage.file_lists import artifact_paths, digest_of
from registry.storage.local_store import ArtifactStore
from registry.storage.reservations import LIFETIME, release, reserve
from registry.storage.tables import model_versions
from registry.webhooks.events import tell_of_version

SCORE = "mrr@5"
"""The metric of the test split that lists show."""


class Published(NamedTuple):
    """A new version, and how its alias moved."""

    version: ModelVersion
    alias: str
    previous: int | None


class Imported(NamedTuple):
    """What a version from elsewhere brings along: where it was registered first, and its signature."""

    origin: Origin
    bundle: str | None


def publish(
    engine: Engine,
    store: ArtifactStore,
    folder: Path,
    record: ModelRecord,
    reason: Reason,
    imported: Imported | None = None,
) -> Published:
    """Store a folder's files and write the row of the next version.

    The first version of a domain becomes its champion, unless a policy holds for the domain: then nothing is served
    that was not promoted, and it becomes the candidate like every later one.

    The artifact is reserved meanwhile, so that no collection of unused artifacts removes it.

    Raises:
        NotPermittedError: the alias is protected from this user.
        RegistryError: the folder cannot be read or changes meanwhile, or the registry cannot be written.
    """
    expected = digest_of(folder)
    check_arrays(folder, artifact_paths(folder))
    reservation = write(engine, lambda connection: reserve(connection, expected))
    try:
        artifact, files = store.put(folder)
        if artifact != expected:
            raise RegistryError(f"{folder} was changed while it was stored: try again")
        return write(
            engine, lambda connection: _add(connection, record, artifact, files, reservation, reason, imported)
        )
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
    reason: Reason,
    imported: Imported | None,
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
        origin=imported.origin if imported else None,
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
    if not release(connection, reservation):  # its artifact may have been removed
        raise RegistryError(f"storing the files took longer than {LIFETIME}: try again")
    if imported and imported.bundle:
        keep_signature(connection, version.domain, version.version, imported.bundle)
    tell_of_version(connection, version.domain, version.version)
    gated = version.parent or policy_of(connection, version.domain)
    alias = CANDIDATE if gated else CHAMPION
    previous = move(connection, version.domain, alias, version.version, reason)
    return Published(version, alias, previous)
