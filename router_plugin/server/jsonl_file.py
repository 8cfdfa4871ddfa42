"""A file to which JSON objects are appended, one on a line."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import orjson

from router_plugin.errors import ServerError


class JsonlFile:
    """Lines are appended whole, by any number of threads and processes.

    Attributes:
        path: of the file.
    """

    def __init__(self, path: Path, option: str) -> None:
        """Open the file, which is made if it is not there, for its owner alone.

        Args:
            path: of the file.
            option: that names it, for errors.

        Raises:
            ServerError: it cannot be written.
        """
        self.path = path
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        except OSError as error:
            raise ServerError(f"`{option}` {path}: cannot be written: {error.strerror}") from error

    async def append(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write lines and have them stored."""
        lines = b"".join(orjson.dumps(dict(row), option=orjson.OPT_APPEND_NEWLINE) for row in rows)
        await asyncio.to_thread(self._append, lines)

    def _append(self, lines: bytes) -> None:
        os.write(self._file, lines)  # one call: the system appends it as a whole
        os.fsync(self._file)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)
