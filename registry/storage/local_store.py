"""What every artifact store can do, and a store in a folder of this machine."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock

from registry.errors import OutputError
from registry.progress import Advance, byte_bar
from registry.records import ArtifactFile
from registry.shared.outputs import (
    UNFINISHED,
    leftovers,
    make_folder,
    move_into_place,
    new_folder_beside,
    remove,
    sync_folder,
)
from registry.storage.file_lists import artifact_paths, check_files, checked, digest_of_list, explained, problems_of

DIGEST = re.compile("[0-9a-f]{64}")

_BLOCK = 1 << 20
_SHARED = 0o666
"""Mode of lock files: all users who may write the store's folder may take them."""
_LEFT = (UNFINISHED, re.compile(r"\.[0-9a-f]{64}\.earlier-[0-9a-f]{8}"))
"""Folders that a killed process did not finish, and damaged ones that it had replaced."""
_ASIDE = re.compile(r"\.removed-([0-9a-f]{64})-[0-9a-f]{8}")


class ArtifactStore(ABC):
    """Model folders, each under the digest of its file list. Safe to use from several threads and processes.

    A store belongs to one registry: whatever its registry does not refer to may be removed.
    """

    @abstractmethod
    def put(self, folder: Path) -> tuple[str, tuple[ArtifactFile, ...]]:
        """Store a copy of the folder's files, which outlasts a loss of power; returns its digest and file list.

        Raises:
            RegistryError: the folder cannot be read, or the store cannot be written.
        """

    @abstractmethod
    def fetch(self, digest: str, files: Sequence[ArtifactFile]) -> Path:
        """A local folder that holds exactly the recorded bytes.

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
        """What is wrong with the stored files, one line each; empty if nothing is. Every byte is read."""

    @abstractmethod
    def digests(self) -> list[str]:
        """Every stored artifact, whole or not.

        Raises:
            RegistryError: the store cannot be read.
        """

    @abstractmethod
    def size(self, digest: str) -> int:
        """Bytes of an artifact's files."""

    @abstractmethod
    def set_aside(self, digest: str) -> str | None:
        """Make an artifact disappear.

        Returns:
            Where its files are until they are dropped, empty if they are gone; None if the artifact was not there.

        Raises:
            RegistryError: the store cannot be written.
        """

    @abstractmethod
    def put_back(self, aside: str, digest: str) -> None:
        """Undo that, if it can be, and the artifact is not there again."""

    @abstractmethod
    def drop(self, aside: str) -> None:
        """Remove the files of an artifact that was set aside."""

    def aside(self) -> dict[str, str]:
        """What was set aside and never dropped, as its collector was killed: digest by place."""
        return {}

    def leftovers(self) -> dict[str, int]:
        """What killed writers left, by name, with its bytes."""
        return {}

    def sweep(self) -> dict[str, int]:
        """Remove that; returns the same."""
        return {}


class LocalStore(ArtifactStore):
    """Artifacts in a folder; each appears atomically under its digest."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._locks = root / ".locks"

    def put(self, folder: Path) -> tuple[str, tuple[ArtifactFile, ...]]:
        """See :class:`ArtifactStore`."""
        with explained(f"{folder} cannot be stored in {self.root}"):
            new = not self.root.exists()
            with new_folder_beside(self.root / "new") as staging:
                paths = artifact_paths(folder)
                with byte_bar("storing files", sum((folder / path).stat().st_size for path in paths)) as advance:
                    files = tuple(_copy(folder / path, staging / path, path, advance) for path in paths)
                for place in {(staging / file.path).parent for file in files} | {staging}:
                    sync_folder(place)
                digest = digest_of_list(files)
                with self.lock(digest):
                    self.take(staging, digest, files)
                    sync_folder(self.root)
            if new:
                sync_folder(self.root.parent)
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
        return checked(lambda: (self.root / digest / file.path).read_bytes(), digest, file)

    def verify(self, digest: str, files: Sequence[ArtifactFile]) -> list[str]:
        """See :class:`ArtifactStore`."""
        return problems_of(self.root / digest, files)

    def digests(self) -> list[str]:
        """See :class:`ArtifactStore`."""
        return [name for name in self._names() if DIGEST.fullmatch(name)]

    def size(self, digest: str) -> int:
        """See :class:`ArtifactStore`."""
        return _size(self.root / digest)

    def set_aside(self, digest: str) -> str | None:
        """See :class:`ArtifactStore`. Nobody may be writing the artifact: its lock goes too."""
        aside = f".removed-{digest}-{secrets.token_hex(4)}"
        with explained(f"{self.root / digest} cannot be removed"):
            try:
                (self.root / digest).rename(self.root / aside)
            except FileNotFoundError:
                return None
            with suppress(OSError):  # it is open, on a system that does not remove such files
                (self._locks / digest).unlink()
        return aside

    def put_back(self, aside: str, digest: str) -> None:
        """See :class:`ArtifactStore`."""
        with suppress(OSError):  # it is there again
            (self.root / aside).rename(self.root / digest)

    def drop(self, aside: str) -> None:
        """See :class:`ArtifactStore`."""
        remove(self.root / aside)

    def aside(self) -> dict[str, str]:
        """See :class:`ArtifactStore`."""
        return {found[0]: found[1] for name in self._names() if (found := _ASIDE.fullmatch(name))}

    def leftovers(self) -> dict[str, int]:
        """See :class:`ArtifactStore`."""
        if not self.root.exists():
            return {}
        with explained(f"{self.root} cannot be read"):
            return {path.name: _size(path) for names in _LEFT for path in leftovers(self.root, names)}

    def sweep(self) -> dict[str, int]:
        """See :class:`ArtifactStore`."""
        found = self.leftovers()
        for name in found:
            remove(self.root / name)
        return {name: size for name, size in found.items() if not (self.root / name).exists()}

    def _names(self) -> list[str]:
        if not self.root.exists():
            return []
        with explained(f"{self.root} cannot be read"):
            return sorted(path.name for path in self.root.iterdir())

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


def _size(path: Path) -> int:
    """Bytes of a file, or of the files in a folder; what disappears meanwhile counts nothing."""
    size = 0
    for each in (path, *path.rglob("*")):
        with suppress(OSError):
            if not each.is_dir():
                size += each.lstat().st_size
    return size


def _copy(source: Path, target: Path, name: str, advance: Advance) -> ArtifactFile:
    target.parent.mkdir(parents=True, exist_ok=True)
    sha256, size = hashlib.sha256(), 0
    with source.open("rb") as reading, target.open("wb") as writing:
        while block := reading.read(_BLOCK):
            sha256.update(block)
            size += writing.write(block)
            advance(len(block))
        writing.flush()
        os.fsync(writing.fileno())
    return ArtifactFile(path=name, sha256=sha256.hexdigest(), size=size)
