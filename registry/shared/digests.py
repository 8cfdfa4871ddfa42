"""SHA-256 of files and streams, read in blocks; in this process an unchanged file is read once."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path
from typing import IO, NamedTuple

_BLOCK = 1 << 20
_SETTLED = 2_000_000_000
"""Nanoseconds without a change after which a further change gives a file another time, on every file system."""


class _State(NamedTuple):
    """What a change of a file's bytes changes; times in nanoseconds."""

    device: int
    inode: int
    size: int
    modified: int
    changed: int


_KNOWN: dict[str, tuple[_State, str]] = {}


def sha256_of(path: Path) -> str:
    """The hexadecimal SHA-256 of a file's bytes.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return sha256_of_stream(file)


def sha256_of_unchanged(path: Path) -> str:
    """The same, from memory if this process has read the file and its size, times and inode are as they were.

    A file that changed within the last two seconds is read every time: a further change might not change its times.

    Raises:
        OSError: it cannot be read.
    """
    name, started = str(path.absolute()), time.time_ns()
    with path.open("rb") as file:
        state = _state(os.fstat(file.fileno()))
        known = _KNOWN.get(name)
        if known and known[0] == state:
            return known[1]
        digest = sha256_of_stream(file)
        settled = max(state.modified, state.changed) < started - _SETTLED
        if settled and _state(os.fstat(file.fileno())) == state:
            _KNOWN[name] = (state, digest)
        else:
            _KNOWN.pop(name, None)
        return digest


def sha256_of_stream(stream: IO[bytes]) -> str:
    """The hexadecimal SHA-256 of the rest of a stream."""
    sha256 = hashlib.sha256()
    while block := stream.read(_BLOCK):
        sha256.update(block)
    return sha256.hexdigest()


def _state(found: os.stat_result) -> _State:
    return _State(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
