"""Collects what nothing refers to: versions past their grace period, unused artifacts, and what killed writers left.

Each artifact is checked and moved away in one transaction of the only writer. A publication reserves its artifact in
such a transaction before it stores a file. So either the collection sees the reservation, or the publication finds the
artifact gone and stores it again.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, Engine, select

from registry.catalog.deletion import expired, expired_names, purge
from registry.errors import RegistryError
from registry.storage.database import reading, write
from registry.storage.local_store import ArtifactStore
from registry.storage.reservations import end_dead, is_reserved
from registry.storage.tables import model_versions


@dataclass(frozen=True)
class Collected:
    """What a collection removed, or would remove.

    Attributes:
        versions: names of the purged versions.
        artifacts: bytes of each removed artifact, by digest.
        leftovers: bytes of each file or folder that a killed process left in the store, by name.
    """

    versions: list[str]
    artifacts: dict[str, int]
    leftovers: dict[str, int]

    @property
    def freed(self) -> int:
        """Bytes in all."""
        return sum(self.artifacts.values()) + sum(self.leftovers.values())


def collect(engine: Engine, store: ArtifactStore) -> Collected:
    """Remove what nothing refers to.

    Raises:
        RegistryError: the database or the store cannot be written; what was removed until then was removed wholly.
    """
    versions = write(engine, _purge)
    for aside, digest in store.aside().items():
        _finish(engine, store, aside, digest)
    with reading(engine) as connection:
        unused = [digest for digest in store.digests() if not _is_used(connection, digest)]
    artifacts = {}
    for digest in unused:
        size = store.size(digest)
        if _remove(engine, store, digest):
            artifacts[digest] = size
    return Collected(versions, artifacts, store.sweep())


def what_to_collect(engine: Engine, store: ArtifactStore) -> Collected:
    """What a collection would remove now.

    Raises:
        RegistryError: the database or the store cannot be read.
    """
    with reading(engine) as connection:
        versions = expired_names(connection)
        unused = [digest for digest in store.digests() if not _is_used(connection, digest, soon=True)]
    return Collected(versions, {digest: store.size(digest) for digest in unused}, store.leftovers())


def _finish(engine: Engine, store: ArtifactStore, aside: str, digest: str) -> None:
    """Remove what a collection had set aside when it was killed, or put it back if it is used all the same."""

    def work(connection: Connection) -> None:
        if _is_used(connection, digest):
            store.put_back(aside, digest)

    write(engine, work)
    store.drop(aside)


def _remove(engine: Engine, store: ArtifactStore, digest: str) -> bool:
    """Remove an artifact unless it is used."""
    aside: list[str] = []

    def work(connection: Connection) -> None:
        if not _is_used(connection, digest) and (place := store.set_aside(digest)) is not None:
            aside.append(place)

    try:
        write(engine, work)
    except RegistryError:  # the transaction may have ended before the artifact was moved
        for place in aside:
            store.put_back(place, digest)
        raise
    for place in aside:
        store.drop(place)
    return bool(aside)


def _purge(connection: Connection) -> list[str]:
    end_dead(connection)
    return purge(connection)


def _is_used(connection: Connection, digest: str, *, soon: bool = False) -> bool:
    """Whether a version that is not purged refers to an artifact, or it is reserved; ``soon``: after :func:`_purge`."""
    query = select(model_versions.c.version).where(
        model_versions.c.artifact == digest, model_versions.c.purged.is_(None)
    )
    if soon:
        query = query.where(~expired())
    referred = connection.execute(query.limit(1)).first() is not None
    return referred or is_reserved(connection, digest, by_the_dead=not soon)
