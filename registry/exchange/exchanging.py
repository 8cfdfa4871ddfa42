"""Versions of a registry that come and go: as a single file, and by the Hugging Face Hub."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from registry.catalog.publishing import Published
from registry.errors import ExchangeError
from registry.exchange.archive import MAX_SIZE, read_archive, write_archive
from registry.exchange.hub import pull, push
from registry.exchange.importing import Fill, import_from
from registry.paths import PathLike, local_path
from registry.records import ModelVersion
from registry.signing.signed import Signatures
from registry.store import Store


class Exchange:
    """What exports and imports the versions of one registry."""

    def __init__(
        self, store: Store, fetch: Callable[[ModelVersion], Path], tell: Callable[[Published], ModelVersion]
    ) -> None:
        """
        Args:
            store: of the registry.
            fetch: the checked files of a version.
            tell: is called with a version that was published; returns it.
        """
        self._store, self._fetch, self._tell = store, fetch, tell
        self._signatures = Signatures(store)

    def export_file(self, version: ModelVersion, path: PathLike, overwrite: bool = False) -> None:
        """Write a version to a single file that another registry imports; the bytes depend on the version alone.

        Raises:
            OutputError: the file exists, or cannot be written.
            DamagedArtifactError: a stored file is not as it was published.
        """
        write_archive(path, version, self._fetch(version), self._signatures.of(version), overwrite)

    def import_file(self, path: PathLike, max_size: int = MAX_SIZE, force: bool = False) -> tuple[ModelVersion, bool]:
        """Register the version in a file as the next one of its domain; also whether it is new here.

        Args:
            path: what :meth:`export_file` wrote.
            max_size: bytes that the model may have.
            force: also if the domain has a version with the same files.

        Raises:
            ExchangeError: the file is damaged, or is not such a file, or its model is too large.
            SignatureError: this machine requires signatures, and the file has none that it trusts.
            RegistryError: it holds files that are not allowed, or the registry cannot be written.
        """
        if not local_path(path, ExchangeError).is_file():
            raise ExchangeError(f"{path} cannot be imported: there is no such file")
        return self._import(lambda folder: read_archive(path, folder, max_size), Path(path).name, force)

    def push(self, version: ModelVersion, repository: str, private: bool = False) -> str:
        """Write a version to a repository of the Hugging Face Hub; returns the address of the commit.

        Raises:
            ExchangeError: the Hub cannot be reached or refuses it, or the repository holds something else.
            DamagedArtifactError: a stored file is not as it was published.
        """
        return push(version, self._fetch(version), self._signatures.of(version), repository, private)

    def pull(
        self, repository: str, revision: str | None = None, max_size: int = MAX_SIZE, force: bool = False
    ) -> tuple[ModelVersion, bool]:
        """Register the version in a repository of the Hub that :meth:`push` wrote; also whether it is new here.

        Args:
            repository: ``ORG/NAME``.
            revision: a branch, tag or commit; None for the newest.
            max_size: bytes that the model may have.
            force: also if the domain has a version with the same files.

        Raises:
            ExchangeError: the Hub cannot be reached, or the repository holds no version, or another one than it says.
            SignatureError: this machine requires signatures, and the repository has none that it trusts.
            RegistryError: it holds files that are not allowed, or the registry cannot be written.
        """
        return self._import(lambda folder: pull(repository, folder, revision, max_size), repository, force)

    def _import(self, fill: Fill, place: str, force: bool) -> tuple[ModelVersion, bool]:
        self._store.create()
        found = import_from(self._store, fill, place, force)
        return (found, False) if isinstance(found, ModelVersion) else (self._tell(found), True)
