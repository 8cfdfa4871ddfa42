"""Brings a version from elsewhere into a registry: checked as a whole before anything of it is registered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from registry.aliasing.moves import Reason
from registry.catalog.publishing import Imported, Published, publish
from registry.catalog.versions import with_artifact
from registry.exchange.archive import Package
from registry.records import ModelVersion
from registry.shared.home import writable_cache_folder
from registry.shared.outputs import new_folder_beside
from registry.signing.trust import check_trusted, trusted_keys
from registry.store import Store

Fill = Callable[[Path], Package]
"""Writes the files of a version to an empty folder, and says what they are."""


def import_from(store: Store, fill: Fill, place: str, force: bool) -> Published | ModelVersion:
    """Register a version as the next one of its domain, with its signature if it has one.

    Args:
        store: of the registry.
        fill: reads the version, every digest checked.
        place: where it comes from, for the history.
        force: also if the domain has a version with the same files.

    Returns:
        What was published, or the version that has the same files.

    Raises:
        ExchangeError: it cannot be read.
        SignatureError: this machine requires signatures, and it has none that is trusted.
        RegistryError: the registry cannot be written.
    """
    with new_folder_beside(writable_cache_folder("imports") / "new") as folder:
        package = fill(folder)
        if keys := trusted_keys():
            check_trusted(package.manifest, package.origin.name, package.bundle, keys)
        record = package.manifest.record
        if not force:
            with store.reading() as connection:
                found = with_artifact(connection, package.manifest.artifact, record.domain)
            if found:
                return found
        why = f"imported from {place}, {package.origin.name} there"
        reason = Reason("import", why, key=store.key)
        imported = Imported(package.origin, package.bundle)
        return publish(store.engine, store.artifacts, folder, record, reason, imported)
