"""Content-addressed storage of model folders on any fsspec file system, checked by digest on every load."""

import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import fsspec
from filelock import FileLock

from registry.errors import DamagedArtifactError, OutputError, RegistryError
from registry.names import PAGE, check_file
from registry.records import ArtifactFile
from registry.shared.digests import sha256_of, sha256_of_stream
from registry.shared.outputs import make_folder, move_into_place, new_folder_beside, staged_folder

_BLOCK = 1 << 20


class ArtifactStore:
    """Model folders, each under the digest of its file list.

    A folder appears under its digest whole or not at all on a local disk. On object storage the files appear one
    by one, but nothing refers to the digest before the registry's row exists.
    """

    def __init__(self, url: str, cache: Path) -> None:
        try:
            self._fs, self._root = fsspec.core.url_to_fs(url)
        except (ValueError, ImportError, OSError) as error:  # unknown, or its package is not installed
            raise RegistryError(f"artifact store {url.partition('://')[0]}:// cannot be opened: {error}") from error
        self._local = "file" in self._fs.protocol if not isinstance(self._fs.protocol, str) else False
        self._cache = Path(self._root) if self._local else cache
        self._locks = self._cache.with_name(f"{self._cache.name}.locks")

    def put(self, folder: Path) -> tuple[str, tuple[ArtifactFile, ...]]:
        """Store a copy of the folder's files; returns its digest and file list.

        Raises:
            RegistryError: the folder cannot be read, or the store cannot be written.
        """
        with _explained(f"{folder} cannot be stored in {self._root}"):
            return self._put(folder)

    def _put(self, folder: Path) -> tuple[str, tuple[ArtifactFile, ...]]:
        with new_folder_beside(self._cache / "incoming") as staging:
            files = tuple(_copy(folder / path, staging / path, path) for path in _walk(folder))
            digest = digest_of_list(files)
            if not self._local:
                for file in files:
                    if self._holds(digest, file):
                        continue  # others may be reading it just now
                    self._fs.makedirs(f"{self._root}/{digest}/{file.path}".rpartition("/")[0], exist_ok=True)
                    self._fs.put_file(str(staging / file.path), f"{self._root}/{digest}/{file.path}")
            with self._lock(digest):
                if _problems(self._cache / digest, files):  # else the same content is there already
                    move_into_place(staging, self._cache / digest)
        return digest, files

    def fetch(self, digest: str, files: Sequence[ArtifactFile]) -> Path:
        """A local folder that holds exactly the recorded bytes.

        Raises:
            DamagedArtifactError: a file is missing, cannot be read, or its digest differs.
            RegistryError: a local copy cannot be made.
        """
        folder = self._cache / digest
        if not self._local and _problems(folder, files):
            with _explained(f"{self._root}/{digest} cannot be copied to {self._cache}"), self._lock(digest):
                if _problems(folder, files):  # else another has mended it meanwhile
                    self._download(digest, files)
        check_files(folder, files)
        return folder

    def verify(self, digest: str, files: Sequence[ArtifactFile]) -> list[str]:
        """What is wrong with the stored files, one line each; empty where all is well."""
        if self._local:
            return _problems(self._cache / digest, files)
        with _explained(f"{self._root}/{digest} cannot be copied"), tempfile.TemporaryDirectory() as scratch:
            return self._get(digest, files, Path(scratch)) or _problems(Path(scratch), files)

    def _holds(self, digest: str, file: ArtifactFile) -> bool:
        """Whether the remote store has the file's very bytes already."""
        try:
            with self._fs.open(f"{self._root}/{digest}/{file.path}", "rb") as stored:
                return sha256_of_stream(stored) == file.sha256
        except FileNotFoundError:
            return False

    def _download(self, digest: str, files: Sequence[ArtifactFile]) -> None:
        with staged_folder(self._cache / digest, overwrite=True) as staging:
            problems = self._get(digest, files, staging) or _problems(staging, files)
            if problems:
                raise DamagedArtifactError(f"artifact {self._root}/{digest} is damaged: {'; '.join(problems)}")

    def _get(self, digest: str, files: Sequence[ArtifactFile], target: Path) -> list[str]:
        problems = []
        for file in files:
            (target / file.path).parent.mkdir(parents=True, exist_ok=True)
            try:
                self._fs.get_file(f"{self._root}/{digest}/{file.path}", str(target / file.path))
            except OSError as error:
                problems.append(_said(file, error))
        return problems

    def _lock(self, digest: str) -> FileLock:
        """Held by the one thread or process that writes a local folder."""
        make_folder(self._locks)
        return FileLock(self._locks / digest)


def _walk(folder: Path) -> list[str]:
    paths = []
    for path in folder.rglob("*"):
        if path.is_symlink() and path.is_dir():
            raise RegistryError(f"{path} is a link to a folder: put the folder itself in its place")
        if path.is_file() and path != folder / PAGE:
            paths.append(check_file(path.relative_to(folder).as_posix()))
    if not paths:
        raise RegistryError(f"{folder} holds no files: expected a model folder")
    return sorted(paths)


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


def _problems(folder: Path, files: Sequence[ArtifactFile]) -> list[str]:
    problems = []
    for file in files:
        try:
            if sha256_of(folder / file.path) != file.sha256:
                problems.append(f"{file.path} has not the recorded digest {file.sha256[:12]}")
        except OSError as error:
            problems.append(_said(file, error))
    known = {file.path for file in files}
    return problems + [f"{path} does not belong to it" for path in _found(folder) if path not in known]


def _said(file: ArtifactFile, error: OSError) -> str:
    if isinstance(error, (FileNotFoundError, IsADirectoryError, NotADirectoryError)):
        return f"{file.path} is missing"
    return f"{file.path} cannot be read: {error}"


def _found(folder: Path) -> list[str]:
    try:
        return [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if not path.is_dir()]
    except OSError:  # it is not there, cannot be read, or somebody mends it just now
        return []


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """Say what the file system did not let us do."""
    try:
        yield
    except (OSError, OutputError) as error:
        raise RegistryError(f"{what}: {error}: see that there is room and that you have the rights") from error


def list_files(folder: Path) -> tuple[ArtifactFile, ...]:
    """Every file of a folder with its digest.

    Raises:
        RegistryError: there is none, or one cannot be read.
    """
    with _explained(f"{folder} cannot be read"):
        return tuple(
            ArtifactFile(path=path, sha256=sha256_of(folder / path), size=(folder / path).stat().st_size)
            for path in _walk(folder)
        )


def check_files(folder: Path, files: Sequence[ArtifactFile]) -> None:
    """Make sure that a folder holds exactly the recorded bytes.

    Raises:
        DamagedArtifactError: a file is missing, cannot be read, its digest differs, or there is another one.
    """
    if problems := _problems(folder, files):
        raise DamagedArtifactError(f"artifact in {folder} is damaged: {'; '.join(problems)}")


def digest_of(folder: Path) -> str:
    """The digest under which a model folder is stored, or would be."""
    return digest_of_list(list_files(folder))


def digest_of_list(files: Iterable[ArtifactFile]) -> str:
    """The same, of a folder with these files."""
    lines = "".join(f"{file.sha256}  {file.path}\n" for file in files)
    return hashlib.sha256(lines.encode()).hexdigest()
