"""Brings a version from a file or the Hub into a registry: checked as a whole before anything of it is registered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Engine, select

from registry.aliasing.moves import Reason
from registry.catalog.publishing import Imported, Published, publish
from registry.exchange.archive import Package, read_archive
from registry.exchange.hub import pull
from registry.paths import PathLike
from registry.shared.home import writable_cache_folder
from registry.shared.outputs import new_folder_beside
from registry.signing.trust import check_trusted, trusted_keys
from registry.storage.database import reading
from registry.storage.local_store import ArtifactStore
from registry.storage.tables import model_versions


class Arrived(NamedTuple):
    """A version of the registry with the content of a file: newly published, or found there."""

    domain: str
    version: int
    published: Published | None


def import_archive(
    engine: Engine, store: ArtifactStore, path: PathLike, max_size: int, force: bool, key: str | None
) -> Arrived:
    """Register the version in a file as the next one of its domain, with its signature if it has one.

    Args:
        engine: the registry's database.
        store: the registry's artifacts.
        path: the file.
        max_size: bytes that the model may have.
        force: also if the domain has a version with the same files.
        key: that opens protected aliases.

    Raises:
        ExchangeError: see :func:`registry.exchange.archive.read_archive`.
        SignatureError: this machine asks for signatures, and the file has none that it trusts.
        RegistryError: the registry cannot be written.
    """
    return _arrive(engine, store, lambda folder: read_archive(path, folder, max_size), Path(path).name, force, key)


def import_from_hub(
    engine: Engine,
    store: ArtifactStore,
    repository: str,
    revision: str | None,
    max_size: int,
    force: bool,
    key: str | None,
) -> Arrived:
    """The same for a version in a repository of the Hugging Face Hub.

    Args:
        engine: the registry's database.
        store: the registry's artifacts.
        repository: ``ORG/NAME``.
        revision: a branch, tag or commit; None for the newest.
        max_size: bytes that the model may have.
        force: also if the domain has a version with the same files.
        key: that opens protected aliases.

    Raises:
        ExchangeError: see :func:`registry.exchange.hub.pull`.
        SignatureError: this machine asks for signatures, and the repository has none that it trusts.
        RegistryError: the registry cannot be written.
    """
    return _arrive(engine, store, lambda folder: pull(repository, folder, revision, max_size), repository, force, key)


def _arrive(
    engine: Engine, store: ArtifactStore, fill: Callable[[Path], Package], place: str, force: bool, key: str | None
) -> Arrived:
    with new_folder_beside(writable_cache_folder("imports") / "new") as folder:
        package = fill(folder)
        if keys := trusted_keys():
            check_trusted(package.manifest, package.origin.name, package.bundle, keys)
        record = package.manifest.record
        if not force and (number := _found(engine, record.domain, package.manifest.artifact)):
            return Arrived(record.domain, number, None)
        why = f"imported from {place}, {package.origin.name} there"
        reason = Reason("import", why, key=key)
        published = publish(engine, store, folder, record, reason, Imported(package.origin, package.bundle))
        return Arrived(record.domain, published.version.version, published)


def _found(engine: Engine, domain: str, artifact: str) -> int | None:
    """The newest version of a domain with some files."""
    versions = model_versions.c
    query = select(versions.version).where(
        versions.domain == domain, versions.artifact == artifact, versions.deleted.is_(None)
    )
    with reading(engine) as connection:
        return connection.execute(query.order_by(versions.version.desc())).scalar()
