"""The files of a model folder with their digests: listed, checked, and put under one digest."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from registry.errors import DamagedArtifactError, OutputError, RegistryError
from registry.names import check_file
from registry.progress import byte_bar
from registry.records import ArtifactFile
from registry.shared.digests import sha256_of, sha256_of_unchanged
from registry.storage.file_kinds import check_kinds

_PAGE = ".html"
"""Ending of pages for people at the top of a model folder: they may quote the training data, and stay there."""


def list_files(folder: Path) -> tuple[ArtifactFile, ...]:
    """Every file of a folder that belongs to an artifact, with its digest.

    Raises:
        RegistryError: the folder holds none, one is of a kind that is not allowed or cannot be read, or a subfolder is
            a link.
        InvalidNameError: a file's name is not allowed.
    """
    with explained(f"{folder} cannot be read"):
        return tuple(
            ArtifactFile(path=path, sha256=sha256_of(folder / path), size=(folder / path).stat().st_size)
            for path in artifact_paths(folder)
        )


def artifact_paths(folder: Path) -> list[str]:
    """The relative paths of a folder's files that belong to an artifact, sorted; for errors see :func:`list_files`."""
    paths = []
    for path in folder.rglob("*"):
        if path.is_symlink() and path.is_dir():
            raise RegistryError(f"{path} is a link to a folder: replace it by the folder itself")
        if path.is_file() and not (path.parent == folder and path.suffix == _PAGE):
            paths.append(check_file(path.relative_to(folder).as_posix()))
    if not paths:
        raise RegistryError(f"{folder} holds no files: expected a model folder")
    check_kinds(paths)
    return sorted(paths)


def digest_of(folder: Path) -> str:
    """The digest under which a model folder is stored, or would be; for errors see :func:`list_files`."""
    return digest_of_list(list_files(folder))


def digest_of_list(files: Iterable[ArtifactFile]) -> str:
    """The digest under which a model folder with these files is stored."""
    lines = "".join(f"{file.sha256}  {file.path}\n" for file in files)
    return hashlib.sha256(lines.encode()).hexdigest()


def check_files(folder: Path, files: Sequence[ArtifactFile]) -> None:
    """Make sure that a folder holds exactly the recorded bytes; a file that has not changed is not read again.

    Raises:
        DamagedArtifactError: a file is missing, cannot be read, has another digest, or is not in the list.
    """
    if problems := problems_of(folder, files, sha256_of_unchanged):
        raise DamagedArtifactError(f"artifact in {folder} is damaged: {'; '.join(problems)}")


def problems_of(folder: Path, files: Sequence[ArtifactFile], digest: Callable[[Path], str] = sha256_of) -> list[str]:
    """How a folder differs from the recorded files, one line each."""
    problems = []
    with byte_bar("checking files", sum(file.size for file in files)) as advance:
        for file in files:
            try:
                if digest(folder / file.path) != file.sha256:
                    problems.append(f"{file.path} does not have the recorded digest {file.sha256[:12]}")
            except OSError as error:
                problems.append(unreadable(file, error))
            advance(file.size)
    known = {file.path for file in files}
    return problems + [f"{path} does not belong to it" for path in _found(folder) if path not in known]


def checked(read: Callable[[], bytes], digest: str, file: ArtifactFile) -> bytes:
    """What one file of an artifact holds.

    Raises:
        DamagedArtifactError: it cannot be read, or does not have the recorded digest.
    """
    try:
        content = read()
    except OSError as error:
        raise DamagedArtifactError(f"artifact {digest} is damaged: {unreadable(file, error)}") from error
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise DamagedArtifactError(f"artifact {digest} is damaged: {file.path} does not have its recorded digest")
    return content


def unreadable(file: ArtifactFile, error: OSError) -> str:
    """Why a file cannot be read, in words."""
    if isinstance(error, (FileNotFoundError, IsADirectoryError, NotADirectoryError)):
        return f"{file.path} is missing"
    return f"{file.path} cannot be read: {error}"


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Report what the file system did not allow as a :class:`RegistryError`."""
    try:
        yield
    except (OSError, OutputError) as error:
        raise RegistryError(f"{what}: {error}: check free space and permissions") from error


def _found(folder: Path) -> list[str]:
    try:
        return [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if not path.is_dir()]
    except OSError:  # it is missing, cannot be read, or is being replaced right now
        return []
