"""Writes whole folders and whole files atomically: an earlier output stands until the new one is ready.

Output is made under a hidden name in the same parent folder, and renamed. A killed process leaves only that hidden
folder or file, which the next process that writes there removes after a day.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from registry.errors import DomainRouterError, OutputError
from registry.paths import PathLike, local_path

LEFTOVER_AGE = 24 * 3600.0
"""Seconds after which no process is still writing under a hidden name."""
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
UNFINISHED = re.compile(r"\..*\.domain-router-[0-9a-f]{8}")
_NO_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EBADF)
"""What systems say that cannot write a folder's names to the disk on demand, or not for this user."""


@contextmanager
def staged_folder(out: PathLike, *, overwrite: bool = False, marker: str | None = None) -> Iterator[Path]:
    """An empty folder to fill, which becomes ``out`` when the block ends, and is removed when the block raises.

    Args:
        out: the folder to be written.
        overwrite: whether an earlier output may be replaced.
        marker: see :func:`check_free`.

    Raises:
        OutputError: ``out`` may not be replaced, or the system does not allow writing there.
    """
    out = local_path(out, OutputError)
    check_free(out, overwrite, marker)
    with new_folder_beside(out) as folder:
        yield folder
        check_free(out, overwrite, marker)  # another process may have written it meanwhile
        move_into_place(folder, out)


def check_free(out: PathLike, overwrite: bool, marker: str | None = None) -> None:
    """Make sure that ``out`` may be written.

    Args:
        out: the folder to be written.
        overwrite: whether an earlier output of the same kind may be replaced.
        marker: the file by which an earlier output is known; nothing else is ever replaced. None for folders that only
            this program writes, and may replace whatever they hold.

    Raises:
        OutputError: it may not.
    """
    out = local_path(out, OutputError)
    try:
        free = not out.exists() or (out.is_dir() and not any(out.iterdir()))
    except OSError as error:
        raise OutputError(f"{out}: cannot be read: {_reason(error)}") from error
    if free:
        return
    if not out.is_dir():
        raise OutputError(f"{out}: is a file: expected a folder: choose another name")
    if not overwrite:
        raise OutputError(f"{out}: exists already: choose another folder, or set `overwrite`")
    if marker is not None and not (out / marker).is_file():
        raise OutputError(f"{out}: holds no {marker}, so it is not an earlier output: choose another folder")


def make_folder(folder: PathLike) -> None:
    """Create a folder and its parents, where they are missing.

    Raises:
        OutputError: the system does not allow it.
    """
    folder = local_path(folder, OutputError)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be created: {_reason(error)}") from error


@contextmanager
def new_folder_beside(out: PathLike) -> Iterator[Path]:
    """An empty hidden folder on the same disk as ``out``, removed at the end unless it was moved away.

    Raises:
        OutputError: the system does not allow it.
    """
    out = local_path(out, OutputError)
    parent = out.absolute().parent
    make_folder(parent)
    _remove_leftovers(parent)
    folder = _hidden(parent / out.name)
    with _reported(out):
        folder.mkdir()
    try:
        with disk_reported(out):
            yield folder
    finally:
        remove(folder)


def move_into_place(folder: Path, out: Path) -> None:
    """Give a finished folder its name, in place of an earlier output.

    Raises:
        OutputError: the system does not allow it; then the earlier output stands.
    """
    with _reported(out):
        if not out.exists():
            folder.rename(out)
            return
        # Between these two renames a killed process leaves the earlier output under a name that is not removed here.
        earlier = out.with_name(f".{out.name}.earlier-{secrets.token_hex(4)}")
        out.rename(earlier)
        try:
            folder.rename(out)
        except BaseException:
            earlier.rename(out)
            raise
        remove(earlier)


def sync_folder(folder: Path) -> None:
    """Write the names in a folder to the disk, where the system can, so that they outlast a loss of power.

    Raises:
        OSError: the disk fails.
    """
    if os.name != "posix":
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise


def leftovers(parent: Path, names: re.Pattern[str] = UNFINISHED) -> list[Path]:
    """What killed processes left in a folder, by name; nobody writes there any more.

    Args:
        parent: the folder.
        names: of what is left.

    Raises:
        OSError: the folder cannot be listed.
    """
    oldest = time.time() - LEFTOVER_AGE
    found = []
    for path in parent.iterdir():
        if names.fullmatch(path.name):
            with suppress(OSError):  # another process may remove it at the same time
                if path.stat().st_mtime < oldest:
                    found.append(path)
    return sorted(found)


def remove(path: Path) -> None:
    """Remove a file or folder as far as the system allows."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


@contextmanager
def new_file_beside(path: PathLike) -> Iterator[BinaryIO]:
    """A file to write, which gets its name when the block ends, and is removed when the block raises.

    Raises:
        OutputError: the system does not allow it; then an earlier file stands.
    """
    path = local_path(path, OutputError)
    _remove_leftovers(path.parent)
    partial = _hidden(path)
    with _reported(path):
        try:
            with partial.open("xb") as out:
                yield out
                out.flush()
                os.fsync(out.fileno())
            partial.replace(path)
        finally:
            remove(partial)


def write_atomically(path: PathLike, content: str | bytes) -> None:
    """Write a file, text as UTF-8.

    Raises:
        OutputError: the system does not allow it; then an earlier file stands.
    """
    path = local_path(path, OutputError)
    data = content.encode("utf-8") if isinstance(content, str) else content
    _remove_leftovers(path.parent)
    partial = _hidden(path)
    with _reported(path):
        try:
            partial.write_bytes(data)
            partial.replace(path)
        finally:
            remove(partial)


@contextmanager
def disk_reported(out: Path) -> Iterator[None]:
    """Report that a disk is full, or only to be read, as an :class:`OutputError`, whatever library found it out.

    Raises:
        OutputError: in place of such an error.
    """
    try:
        yield
    except DomainRouterError:
        raise
    except Exception as error:
        reason = _reason(error) if isinstance(error, OSError) else str(error)
        if not any(os.strerror(number) in reason for number in _DISK):  # other libraries hand on the system's words
            raise
        raise OutputError(f"{out}: cannot be written: {reason}: check free space, and try again") from error


def _hidden(path: Path) -> Path:
    return path.with_name(f".{path.name}.domain-router-{secrets.token_hex(4)}")


def _remove_leftovers(parent: Path) -> None:
    with suppress(OSError):  # it cannot be listed; whatever is written there next reports why
        for path in leftovers(parent):
            remove(path)


@contextmanager
def _reported(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(f"{out}: cannot be written: {_reason(error)}") from error


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
