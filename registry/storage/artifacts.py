"""Content-addressed storage of model folders, on a local disk or on any fsspec file system."""

from __future__ import annotations

import hashlib
import os
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import fsspec
from filelock import FileLock
from fsspec.implementations.local import LocalFileSystem

from registry.errors import DamagedArtifactError, OutputError, RegistryError
from registry.records import ArtifactFile
from registry.shared.digests import sha256_of_stream
from registry.shared.home import cache_folder, writable_cache_folder
from registry.shared.outputs import make_folder, move_into_place, new_folder_beside
from registry.storage.file_lists import (
    artifact_paths,
    check_files,
    digest_of_list,
    explained,
    problems_of,
    unreadable,
)

_BLOCK = 1 << 20
_COPIES = "artifacts"
"""The cache of local copies of remote artifacts."""
_SHARED = 0o666
"""Mode of lock files: all users who may write the store's folder may take them."""


def open_store(url: str) -> ArtifactStore:
    """The store at a path or fsspec URL.

    Args:
        url: where the artifacts are.

    Raises:
        RegistryError: the URL's file system is unknown, or its package is not installed.
    """
    try:
        system, root = fsspec.core.url_to_fs(url)
    except (ValueError, ImportError, OSError) as error:
        raise RegistryError(f"artifact store {url.partition('://')[0]}:// cannot be opened: {error}") from error
    return LocalStore(Path(root)) if type(system) is LocalFileSystem else RemoteStore(system, root)


class ArtifactStore(ABC):
    """Model folders, each under the digest of its file list. Safe to use from several threads and processes."""

    @abstractmethod
    def put(self, folder: Path) -> tuple[str, tuple[ArtifactFile, ...]]:
        """Store a copy of the folder's files; returns its digest and file list.

        Raises:
            RegistryError: the folder cannot be read, or the store cannot be written.
        """

    @abstractmethod
    def fetch(self, digest: str, files: Sequence[ArtifactFile]) -> Path:
        """A local folder that holds exactly the recorded bytes, checked just now.

        Raises:
            DamagedArtifactError: a file is missing, cannot be read, or its digest differs.
            RegistryError: a local copy cannot be made.
        """

    @abstractmethod
    def read(self, digest: str, file: ArtifactFile) -> bytes:
        """The content of one file, checked just now.

        Raises:
            DamagedArtifactError: it is missing, cannot be read, or its digest differs.
        """

    @abstractmethod
    def verify(self, digest: str, files: Sequence[ArtifactFile]) -> list[str]:
        """What is wrong with the stored files, one line each; empty if nothing is."""


class LocalStore(ArtifactStore):
    """Artifacts in a folder; each appears atomically under its digest."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._locks = root / ".locks"

    def put(self, folder: Path) -> tuple[str, tuple[ArtifactFile, ...]]:
        """See :class:`ArtifactStore`."""
        with explained(f"{folder} cannot be stored in {self.root}"), new_folder_beside(self.root / "new") as staging:
            files = tuple(_copy(folder / path, staging / path, path) for path in artifact_paths(folder))
            digest = digest_of_list(files)
            with self.lock(digest):
                self.take(staging, digest, files)
        return digest, files

    def take(self, staging: Path, digest: str, files: Sequence[ArtifactFile]) -> None:
        """Move a finished folder into its place, unless the same content is there already.

        Raises:
            OutputError: the system does not allow it.
        """
        place = self.root / digest
        if not problems_of(place, files):
            return
        try:
            move_into_place(staging, place)
        except OutputError:
            if problems_of(place, files):  # else another process was faster, where locks do not work
                raise

    def fetch(self, digest: str, files: Sequence[ArtifactFile]) -> Path:
        """See :class:`ArtifactStore`."""
        check_files(self.root / digest, files)
        return self.root / digest

    def read(self, digest: str, file: ArtifactFile) -> bytes:
        """See :class:`ArtifactStore`."""
        return _checked(lambda: (self.root / digest / file.path).read_bytes(), digest, file)

    def verify(self, digest: str, files: Sequence[ArtifactFile]) -> list[str]:
        """See :class:`ArtifactStore`."""
        return problems_of(self.root / digest, files)

    @contextmanager
    def lock(self, digest: str) -> Iterator[None]:
        """Held by the one thread or process that writes the folder of an artifact.

        Its file lies in the store, where all who share the store find it. Where the system has no locks, as some
        network file systems, or does not let this user take it, nothing is locked: whoever writes an artifact copes
        with another one who was faster.
        """
        lock = FileLock(self._locks / digest, mode=_SHARED)
        try:
            make_folder(self._locks)
            lock.acquire()
        except (OSError, OutputError, NotImplementedError):
            yield
            return
        try:
            yield
        finally:
            lock.release()


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
        copy = copies.root / digest
        with explained(f"{folder} cannot be stored in {self._root}"):
            for file in files:
                if self._holds(digest, file):
                    continue  # others may be reading it right now
                remote = self._path(digest, file)
                self._system.makedirs(remote.rpartition("/")[0], exist_ok=True)
                self._system.put_file(str(copy / file.path), remote)
        return digest, files

    def fetch(self, digest: str, files: Sequence[ArtifactFile]) -> Path:
        """See :class:`ArtifactStore`. A local copy that is whole serves while the remote store cannot be reached."""
        copies = LocalStore(self._cache)
        if copies.verify(digest, files):
            copies = LocalStore(writable_cache_folder(_COPIES))
            with (
                explained(f"{self._root}/{digest} cannot be copied to {copies.root}"),
                copies.lock(digest),
                new_folder_beside(copies.root / "new") as staging,
            ):
                if copies.verify(digest, files):  # else another process has downloaded it meanwhile
                    if problems := self._get(digest, files, staging):
                        raise DamagedArtifactError(f"artifact {self._root}/{digest} is damaged: {'; '.join(problems)}")
                    copies.take(staging, digest, files)
        return copies.fetch(digest, files)

    def read(self, digest: str, file: ArtifactFile) -> bytes:
        """See :class:`ArtifactStore`."""
        return _checked(lambda: bytes(self._system.cat_file(self._path(digest, file))), digest, file)

    def verify(self, digest: str, files: Sequence[ArtifactFile]) -> list[str]:
        """See :class:`ArtifactStore`."""
        with explained(f"{self._root}/{digest} cannot be copied"), tempfile.TemporaryDirectory() as scratch:
            return self._get(digest, files, Path(scratch))

    def _get(self, digest: str, files: Sequence[ArtifactFile], target: Path) -> list[str]:
        """Copy the stored files into a folder; what is wrong with them, one line each."""
        problems = []
        for file in files:
            (target / file.path).parent.mkdir(parents=True, exist_ok=True)
            try:
                self._system.get_file(self._path(digest, file), str(target / file.path))
            except OSError as error:
                problems.append(unreadable(file, error))
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


def _copy(source: Path, target: Path, name: str) -> ArtifactFile:
    target.parent.mkdir(parents=True, exist_ok=True)
    sha256, size = hashlib.sha256(), 0
    with source.open("rb") as reading, target.open("wb") as writing:
        while block := reading.read(_BLOCK):
            sha256.update(block)
            size += writing.write(block)
        writing.flush()
        os.fsync(writing.fileno())
    return ArtifactFile(path=name, sha256=sha256.hexdigest(), size=size)


def _checked(read: Callable[[], bytes], digest: str, file: ArtifactFile) -> bytes:
    try:
        content = read()
    except OSError as error:
        raise DamagedArtifactError(f"artifact {digest} is damaged: {unreadable(file, error)}") from error
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise DamagedArtifactError(f"artifact {digest} is damaged: {file.path} does not have its recorded digest")
    return content
