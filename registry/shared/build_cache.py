"""Folders that are built once and kept on this machine, with digests to check them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from registry.errors import OutputError
from registry.shared.digests import sha256_of
from registry.shared.home import cache_folder, temporary_folder
from registry.shared.outputs import make_folder, staged_folder

log = logging.getLogger(__name__)

DIGESTS = "SHA256SUMS"
"""The file that lists the others, as ``sha256sum`` writes and checks it."""


def cached_folder(kind: str, key: str, make: Callable[[Path], None]) -> Path:
    """A cached folder, built now if it is missing or damaged.

    If the cache cannot be written, it is built in a temporary folder for this process.

    Args:
        kind: the folder of the cache that it lies in.
        key: identifies what it is built from, and is a file name.
        make: fills a new, empty folder; if it raises, nothing is kept.
    """
    folder = cache_folder(kind) / key
    if _is_whole(folder):
        return folder
    try:
        return _build(folder, make)
    except (OSError, OutputError) as error:
        return _build(temporary_folder(folder.parent, str(error)) / key, make)


def _build(folder: Path, make: Callable[[Path], None]) -> Path:
    make_folder(folder.parent)
    with FileLock(folder.parent / f".{folder.name}.lock"):
        if not _is_whole(folder):  # else another process was faster
            if folder.exists():
                log.warning("%s is damaged and is rebuilt", folder)
            with staged_folder(folder, overwrite=True) as staging:
                make(staging)
                (staging / DIGESTS).write_text(_listing(staging), encoding="utf-8")
    return folder


def _listing(folder: Path) -> str:
    files = [path for path in sorted(folder.iterdir()) if path.name != DIGESTS]
    return "".join(f"{sha256_of(path)}  {path.name}\n" for path in files)


def _is_whole(folder: Path) -> bool:
    try:
        return (folder / DIGESTS).read_text(encoding="utf-8") == _listing(folder)
    except (OSError, UnicodeDecodeError):  # missing, or not written by this module
        return False
