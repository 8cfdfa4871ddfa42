"""What is made once and kept on this machine: folders that appear whole or not at all, with digests to check."""

from __future__ import annotations

import logging
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from registry.errors import OutputError
from registry.shared.digests import sha256_of
from registry.shared.home import cache_folder
from registry.shared.outputs import make_folder, staged_folder

log = logging.getLogger(__name__)

DIGESTS = "SHA256SUMS"
"""The file that lists the others, as ``sha256sum`` writes and checks it."""
_INSTEAD: dict[Path, tempfile.TemporaryDirectory[str]] = {}
_LOCK = threading.Lock()


def cached_folder(kind: str, key: str, make: Callable[[Path], None]) -> Path:
    """A folder that is made where it is not there yet, or is damaged.

    Where nothing can be kept, it is made in a temporary folder, for this process alone.

    Args:
        kind: what it holds, a folder of the cache.
        key: names what it is made of, for ever; the name of a file.
        make: fills a new, empty folder; what it raises goes on to the caller, and nothing is kept.
    """
    parent = cache_folder(kind)
    folder = parent / key
    if _is_whole(folder):
        return folder
    try:
        return _made(folder, make)
    except (OSError, OutputError) as error:
        return _made(_instead_of(parent, error) / key, make)


def _made(folder: Path, make: Callable[[Path], None]) -> Path:
    make_folder(folder.parent)
    with FileLock(folder.parent / f".{folder.name}.lock"):
        if not _is_whole(folder):  # else another process was faster
            if folder.exists():
                log.warning("%s is damaged and is rebuilt", folder)
            with staged_folder(folder, overwrite=True) as staging:
                make(staging)
                (staging / DIGESTS).write_text(_listing(staging), encoding="utf-8")
    return folder


def _instead_of(parent: Path, error: Exception) -> Path:
    """A temporary folder in the place of one that cannot be written; it goes when the process ends."""
    with _LOCK:
        if parent not in _INSTEAD:
            _INSTEAD[parent] = tempfile.TemporaryDirectory(prefix="domain-router-")
            log.warning("nothing can be kept in %s, so each process makes it anew: %s", parent, error)
        return Path(_INSTEAD[parent].name)


def _listing(folder: Path) -> str:
    files = [path for path in sorted(folder.iterdir()) if path.name != DIGESTS]
    return "".join(f"{sha256_of(path)}  {path.name}\n" for path in files)


def _is_whole(folder: Path) -> bool:
    try:
        return (folder / DIGESTS).read_text(encoding="utf-8") == _listing(folder)
    except (OSError, UnicodeDecodeError):  # it is not there, or is no folder of ours
        return False
