"""A version as a single file: an uncompressed tar, the manifest first, then whence it comes, its signature, its files.

Files are of type ustar, so that every entry has one head of 512 bytes, of which only regular files are read. A reader
knows each entry's name and size before it comes: whatever is not next in the manifest's order is refused.
"""

from __future__ import annotations

import hashlib
import shutil
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple, TypeVar

from pydantic import ValidationError

from registry.errors import DamagedArtifactError, ExchangeError, OutputError
from registry.paths import PathLike, local_path
from registry.progress import byte_bar
from registry.records import ModelVersion, Origin
from registry.shared.outputs import new_file_beside
from registry.shared.wording import first_fault
from registry.signing.manifest import FILES, MANIFEST, Manifest
from registry.storage.file_kinds import check_arrays, check_kinds
from registry.storage.file_lists import digest_of_list

ORIGIN = "origin.json"
SIGNATURE = "signature.json"

MAX_SIZE = 16 << 30
"""Bytes of a model that is imported without being asked."""
MAX_FILES = 1000
LARGEST_TEXT = 4 << 20
"""Bytes of the manifest, the origin and the signature each."""
_LARGEST_FILE = 8 << 30
"""What the head of an entry can say."""
_BLOCK = 512
_RECORD = 20 * _BLOCK
"""Zeros that tools write at the end, at most."""
_PIECE = 1 << 20

_Parsed = TypeVar("_Parsed")


class Package(NamedTuple):
    """What was read of an archive; the files lie in the folder that was given, every digest checked."""

    manifest: Manifest
    origin: Origin
    bundle: str | None


def write_archive(path: PathLike, version: ModelVersion, folder: Path, bundle: str | None, overwrite: bool) -> None:
    """Write a version to a file; the same version gives the same bytes everywhere.

    Args:
        path: the file.
        version: to be written.
        folder: of its files, which were just checked.
        bundle: its signature, if it has one.
        overwrite: whether an earlier file may be replaced.

    Raises:
        OutputError: the file exists, or cannot be written.
        ExchangeError: a file of the model is larger than the format allows.
        DamagedArtifactError: a file changed meanwhile.
    """
    path = local_path(path, OutputError)
    if path.exists() and not (overwrite and path.is_file()):
        raise OutputError(f"{path}: exists already: choose another name, or set `overwrite`")
    if large := [file.path for file in version.files if file.size >= _LARGEST_FILE]:
        raise ExchangeError(f"{version.name} cannot be exported: {large[0]} has 8 GiB or more")
    texts = [(MANIFEST, Manifest.of(version).to_bytes()), (ORIGIN, origin_of(version))]
    if bundle is not None:
        texts.append((SIGNATURE, bundle.encode()))
    with new_file_beside(path) as out, byte_bar(f"writing {path.name}", version.size) as advance:
        for name, content in texts:
            out.write(_head(name, len(content)) + content + _padding(len(content)))
        for file in version.files:
            out.write(_head(f"{FILES}/{file.path}", file.size))
            digest, size = hashlib.sha256(), 0
            with (folder / file.path).open("rb") as source:
                while piece := source.read(_PIECE):
                    digest.update(piece)
                    size += out.write(piece)
                    advance(len(piece))
            if (size, digest.hexdigest()) != (file.size, file.sha256):
                raise DamagedArtifactError(f"{version.name}: {file.path} changed while it was exported: try again")
            out.write(_padding(size))
        out.write(bytes(2 * _BLOCK))


def read_archive(path: PathLike, into: Path, max_size: int = MAX_SIZE) -> Package:
    """Read a file that :func:`write_archive` wrote, as carefully as one from a stranger.

    Args:
        path: the file.
        into: an empty folder, in which the model's files are written, and nothing elsewhere.
        max_size: bytes that the model may have.

    Raises:
        ExchangeError: it cannot be read, is no such file, has other entries than its manifest says, is larger than
            allowed, or the disk has too little space.
        DamagedArtifactError: a file in it does not have the digest of the manifest.
        RegistryError: it holds a file of a kind that is not allowed.
    """
    path = local_path(path, ExchangeError)
    try:
        with path.open("rb") as file:
            return _Reader(path, file).read(into, max_size)
    except OSError as error:
        raise ExchangeError(f"{path} cannot be imported: {error.strerror or error}") from error


def check_manifest_files(manifest: Manifest, place: str, into: Path, max_size: int) -> None:
    """Make sure that the files that a manifest lists may be written to a folder, before any of them is.

    Args:
        manifest: whose paths are plain relative names.
        place: where it was found, for errors.
        into: the folder.
        max_size: bytes that the model may have.

    Raises:
        ExchangeError: they do not have the manifest's digest, are too many or too large, or exclude each other.
        RegistryError: a file is of a kind that is not allowed.
    """

    def fault(what: str) -> ExchangeError:
        return ExchangeError(f"{place} cannot be imported: {what}")

    names = [file.path for file in manifest.files]
    size = sum(file.size for file in manifest.files)
    if not names or len(names) > MAX_FILES or names != sorted(set(names)):
        raise fault(f"its manifest does not list 1 to {MAX_FILES} files in order")
    if any(str(folder) in set(names) for name in names for folder in PurePosixPath(name).parents):
        raise fault("its manifest has a file that is a folder too")
    check_kinds(names)
    if digest_of_list(manifest.files) != manifest.artifact:
        raise fault("its manifest does not have the digest of its list of files")
    if size > max_size:
        raise fault(f"the model has {size:,} bytes, at most {max_size:,} are allowed (`max_size`)")
    if size > shutil.disk_usage(into).free:
        raise fault(f"the model has {size:,} bytes, more than the disk of {into} has free")


class _Reader:
    """Reads the entries of an archive in their order."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path = path
        self._file = file

    def read(self, into: Path, max_size: int) -> Package:
        """See :func:`read_archive`."""
        manifest = self._parsed(MANIFEST, self._text(self._entry(), MANIFEST), Manifest.model_validate_json)
        check_manifest_files(manifest, str(self._path), into, max_size)
        origin = self._parsed(ORIGIN, self._text(self._entry(), ORIGIN), Origin.model_validate_json)
        entry, bundle = self._entry(), None
        if entry and entry.name == SIGNATURE:
            bundle = self._parsed(SIGNATURE, self._text(entry, SIGNATURE), bytes.decode)
            entry = self._entry()
        with byte_bar(f"reading {self._path.name}", sum(file.size for file in manifest.files)) as advance:
            for file in manifest.files:
                name = f"{FILES}/{file.path}"
                size = self._expected(entry, name)
                if size != file.size:
                    raise self._fault(f"{name} has {size} bytes, the manifest says {file.size}")
                if self._store(into / file.path, size) != file.sha256:
                    raise DamagedArtifactError(f"{self._path}: {file.path} does not have the digest of the manifest")
                advance(size)
                entry = self._entry()
        if entry:
            raise self._fault(f"{entry.name!r} is not in its manifest")
        check_arrays(into, (file.path for file in manifest.files))
        return Package(manifest, origin, bundle)

    def _entry(self) -> tarfile.TarInfo | None:
        """The head of the next entry; None at the end."""
        block = self._file.read(_BLOCK)
        if block == bytes(_BLOCK):
            rest = self._file.read(_RECORD + 1)
            if not _BLOCK <= len(rest) <= _RECORD or rest.strip(b"\0"):
                raise self._fault("it is cut off, or something follows its end")
            return None
        try:
            entry = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
        except (tarfile.HeaderError, ValueError) as error:
            raise self._fault(f"it is cut off, or no uncompressed tar: {error}") from error
        if entry.size < 0:
            raise self._fault(f"{entry.name!r} has the size {entry.size}")
        if entry.type != tarfile.REGTYPE:
            raise self._fault(f"{entry.name!r} is a link, a folder or another thing that is no plain file")
        return entry

    def _expected(self, entry: tarfile.TarInfo | None, name: str) -> int:
        """The size of the entry, which must have that name."""
        if entry is None or entry.name != name:
            found = repr(entry.name) if entry else "its end"
            raise self._fault(f"it has {found} where {name} is expected")
        return entry.size

    def _text(self, entry: tarfile.TarInfo | None, name: str) -> bytes:
        size = self._expected(entry, name)
        if size > LARGEST_TEXT:
            raise self._fault(f"{name} has {size:,} bytes, more than {LARGEST_TEXT:,}")
        return b"".join(self._pieces(size))

    def _parsed(self, name: str, content: bytes, parse: Callable[[bytes], _Parsed]) -> _Parsed:
        try:
            return parse(content)
        except ValidationError as error:
            raise self._fault(f"{name} is not of this build of domain-router: {first_fault(error)}") from error
        except ValueError as error:
            raise self._fault(f"{name} cannot be read: {error}") from error

    def _store(self, target: Path, size: int) -> str:
        """Write the next bytes to a new file; returns their digest."""
        target.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        with target.open("xb") as out:
            for piece in self._pieces(size):
                digest.update(piece)
                out.write(piece)
        return digest.hexdigest()

    def _pieces(self, size: int) -> Iterator[bytes]:
        left = size
        while left:
            piece = self._file.read(min(left, _PIECE))
            if not piece:
                raise self._fault("it is cut off")
            left -= len(piece)
            yield piece
        self._file.read(len(_padding(size)))

    def _fault(self, what: str) -> ExchangeError:
        return ExchangeError(f"{self._path} cannot be imported: {what}")


def origin_of(version: ModelVersion) -> bytes:
    """Where a version was registered first, as JSON."""
    return ((version.origin or Origin.of(version)).model_dump_json(indent=1) + "\n").encode()


def _head(name: str, size: int) -> bytes:
    """The head of an entry without an owner and a time."""
    entry = tarfile.TarInfo(name)
    entry.size = size
    try:
        return entry.tobuf(tarfile.USTAR_FORMAT, "utf-8", "strict")
    except ValueError as error:
        raise ExchangeError(f"{name} has too long a name to be exported: {error}") from error


def _padding(size: int) -> bytes:
    return bytes(-size % _BLOCK)
