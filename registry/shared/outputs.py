"""Output folders that appear whole or not at all."""

import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from registry.errors import OutputError


def check_free(out: Path, overwrite: bool, marker: str) -> None:
    """Make sure that ``out`` may be written.

    Args:
        out: the folder to be written.
        overwrite: whether an earlier output of the same kind may be replaced.
        marker: the file by which an earlier output is known; nothing else is ever replaced.

    Raises:
        OutputError: it may not.
    """
    try:
        free = not out.exists() or (out.is_dir() and not any(out.iterdir()))
    except OSError as error:
        raise OutputError(f"{out}: cannot be read: {error}") from error
    if free:
        return
    if not overwrite:
        raise OutputError(f"{out}: exists already: choose another folder, or --overwrite")
    if not (out / marker).is_file():
        raise OutputError(f"{out}: holds no {marker}, so it is not an earlier output: choose another folder")


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, where they are not there.

    Raises:
        OutputError: the system does not let us.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made: {error}") from error


def write_file(out: Path, lines: Iterable[str]) -> None:
    """Write a text file, whole or not at all.

    Raises:
        OutputError: the system does not let us.
    """
    partial = out.with_name(f".{out.name}.partial")
    try:
        with partial.open("w", encoding="utf-8") as file:
            file.writelines(lines)
        partial.replace(out)
    except OSError as error:
        raise OutputError(f"{out}: cannot be written: {error.strerror}") from error
    finally:
        partial.unlink(missing_ok=True)


def new_folder_beside(out: Path) -> Path:
    """An empty hidden folder on the same disk as ``out``.

    Raises:
        OutputError: the system does not let us.
    """
    parent = out.absolute().parent
    make_folder(parent)
    try:
        folder = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=parent))
        folder.chmod(0o755)
    except OSError as error:
        raise OutputError(f"{out}: cannot be written: {error}") from error
    return folder


def move_into_place(folder: Path, out: Path) -> None:
    """Give a finished folder its name; an earlier output stands until the new one is there.

    Raises:
        OutputError: the system does not let us.
    """
    try:
        _move(folder, out)
    except OSError as error:
        raise OutputError(f"{out}: cannot be written: {error}") from error


def _move(folder: Path, out: Path) -> None:
    if out.exists():
        earlier = new_folder_beside(out) / "earlier"
        out.rename(earlier)
        try:
            folder.rename(out)
        except OSError:
            earlier.rename(out)
            raise
        finally:
            shutil.rmtree(earlier.parent, ignore_errors=True)
    else:
        folder.rename(out)
