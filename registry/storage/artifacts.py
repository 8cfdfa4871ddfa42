"""Content-addressed storage of model folders, on a local disk or on any fsspec file system with local copies."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from registry.errors import DamagedArtifactError, DomainRouterError, OutputError, RegistryError
from registry.progress import byte_bar
from registry.records import ArtifactFile
from registry.shared.digests import sha256_of_stream
from registry.shared.home import cache_folder, writable_cache_folder
from registry.shared.outputs import new_folder_beside
from registry.storage.copies import mark_used, remove_old
from registry.storage.file_lists import checked, explained, problems_of, unreadable
from registry.storage.local_store import DIGEST, ArtifactStore, LocalStore

_COPIES = "artifacts"
"""The cache of local copies of remote artifacts."""
_S3 = {"connect_timeout": 5, "read_timeout": 60, "retries": {"total_max_attempts": 3, "mode": "standard"}}
"""How long botocore tries: s3fs repeats that up to five times."""


def open_store(url: str) -> ArtifactStore:
    """The store at a path or fsspec URL.

    Args:
        url: where the artifacts are.

    Raises:
        RegistryError: the URL's file system is unknown, or its package is not installed.
    """
    options: dict[str, Any] = {"use_listings_cache": False} if "://" in url else {}
    if url.partition("://")[0] in ("s3", "s3a"):
        options["config_kwargs"] = _S3
    try:
        system, root = fsspec.core.url_to_fs(url, **options)
    except (ValueError, ImportError, OSError) as error:
        raise RegistryError(f"artifact store {url.partition('://')[0]}:// cannot be opened: {error}") from error
    return LocalStore(Path(root)) if type(system) is LocalFileSystem else RemoteStore(system, root)


class RemoteStore(ArtifactStore):
    """Artifacts on an fsspec file system, with local copies.

    The files of an artifact appear one by one, but nothing refers to its digest before the registry's row exists.
    """

    def __init__(self, system: fsspec.AbstractFileSystem, root: str) -> None:
        self._system = system
        self._root = root

    @cached_property
    def _cache(self) -> Path:
        return cache_folder(_COPIES)

    def put(self, folder: Path) -> tuple[str, tuple[ArtifactFile, ...]]:
        """See :class:`ArtifactStore`. What is uploaded is the local copy, whose digests were taken as it was made."""
        copies = LocalStore(writable_cache_folder(_COPIES))
        digest, files = copies.put(folder)
        mark_used(copies, digest)
        copy = copies.root / digest
        with (
            _reached(f"{folder} cannot be stored in {self._root}"),
            byte_bar("uploading files", sum(file.size for file in files)) as advance,
        ):
            for file in files:
                if not self._holds(digest, file):  # else others may be reading it right now
                    remote = self._path(digest, file)
                    self._system.makedirs(remote.rpartition("/")[0], exist_ok=True)
                    self._system.put_file(str(copy / file.path), remote)
                advance(file.size)
        remove_old(copies)
        return digest, files

    def fetch(self, digest: str, files: Sequence[ArtifactFile]) -> Path:
        """See :class:`ArtifactStore`. A local copy that is whole serves while the remote store cannot be reached."""
        copies = LocalStore(self._cache)
        if (copies.root / digest).exists():
            mark_used(copies, digest)
        try:
            return copies.fetch(digest, files)
        except DamagedArtifactError:
            copies = LocalStore(writable_cache_folder(_COPIES))
        with (
            _reached(f"{self._root}/{digest} cannot be copied to {copies.root}"),
            copies.lock(digest),
            new_folder_beside(copies.root / "new") as staging,
        ):
            if copies.verify(digest, files):  # else another process has downloaded it meanwhile
                if problems := self._get(digest, files, staging):
                    raise DamagedArtifactError(f"artifact {self._root}/{digest} is damaged: {'; '.join(problems)}")
                copies.take(staging, digest, files)
        mark_used(copies, digest)
        remove_old(copies)
        return copies.fetch(digest, files)

    def read(self, digest: str, file: ArtifactFile) -> bytes:
        """See :class:`ArtifactStore`."""
        return checked(lambda: bytes(self._system.cat_file(self._path(digest, file))), digest, file)

    def verify(self, digest: str, files: Sequence[ArtifactFile]) -> list[str]:
        """See :class:`ArtifactStore`.

        Raises:
            RegistryError: the store cannot be reached.
        """
        with _reached(f"{self._root}/{digest} cannot be copied"), tempfile.TemporaryDirectory() as scratch:
            return self._get(digest, files, Path(scratch))

    def digests(self) -> list[str]:
        """See :class:`ArtifactStore`."""
        with _reached(f"{self._root} cannot be read"):
            try:
                names = [path.rstrip("/").rpartition("/")[2] for path in self._system.ls(self._root, detail=False)]
            except FileNotFoundError:
                return []
        return sorted(name for name in names if DIGEST.fullmatch(name))

    def size(self, digest: str) -> int:
        """See :class:`ArtifactStore`."""
        with _reached(f"{self._root}/{digest} cannot be read"):
            return int(self._system.du(f"{self._root}/{digest}"))

    def set_aside(self, digest: str) -> str | None:
        """See :class:`ArtifactStore`. Other file systems cannot rename a folder at once: the files are removed."""
        with _reached(f"{self._root}/{digest} cannot be removed"):
            try:
                self._system.rm(f"{self._root}/{digest}", recursive=True)
            except FileNotFoundError:
                return None
        return ""

    def put_back(self, aside: str, digest: str) -> None:
        """See :class:`ArtifactStore`. Nothing can be put back."""

    def drop(self, aside: str) -> None:
        """See :class:`ArtifactStore`. Nothing is left."""

    def _get(self, digest: str, files: Sequence[ArtifactFile], target: Path) -> list[str]:
        """Copy the stored files into a folder; what is wrong with them, one line each."""
        problems = []
        with byte_bar("downloading files", sum(file.size for file in files)) as advance:
            for file in files:
                (target / file.path).parent.mkdir(parents=True, exist_ok=True)
                try:
                    self._system.get_file(self._path(digest, file), str(target / file.path))
                except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
                    problems.append(unreadable(file, error))
                advance(file.size)
        return problems or problems_of(target, files)

    def _holds(self, digest: str, file: ArtifactFile) -> bool:
        """Whether the store has the file's very bytes already."""
        try:
            with self._system.open(self._path(digest, file), "rb") as stored:
                return sha256_of_stream(stored) == file.sha256
        except FileNotFoundError:
            return False

    def _path(self, digest: str, file: ArtifactFile) -> str:
        return f"{self._root}/{digest}/{file.path}"


@contextmanager
def _reached(what: str) -> Iterator[None]:
    """Report what a file system raised as a :class:`RegistryError`; some raise errors of the libraries they use."""
    with explained(what):
        try:
            yield
        except (DomainRouterError, OSError):
            raise
        except Exception as error:
            raise OutputError(str(error) or type(error).__name__) from error
