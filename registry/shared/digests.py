"""SHA-256 of files and streams, read in blocks."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import IO

_BLOCK = 1 << 20


def sha256_of(path: Path) -> str:
    """The hexadecimal SHA-256 of a file's bytes.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return sha256_of_stream(file)


def sha256_of_stream(stream: IO[bytes]) -> str:
    """The hexadecimal SHA-256 of the rest of a stream."""
    sha256 = hashlib.sha256()
    while block := stream.read(_BLOCK):
        sha256.update(block)
    return sha256.hexdigest()
