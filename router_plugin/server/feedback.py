"""The file to which feedback is appended, one JSON object on a line."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from router_plugin.errors import ServerError


class FeedbackFile:
    """Lines are appended whole, by any number of threads and processes.

    Attributes:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        """Open the file, which is made if it is not there.

        Raises:
            ServerError: it cannot be written.
        """
        self.path = path
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        except OSError as error:
            raise ServerError(f"`feedback` {path}: cannot be written: {error.strerror}") from error

    async def append(self, row: Mapping[str, Any]) -> None:
        """Write a line and have it stored."""
        await asyncio.to_thread(self._append, orjson.dumps(dict(row), option=orjson.OPT_APPEND_NEWLINE))

    def _append(self, line: bytes) -> None:
        os.write(self._file, line)  # one call: the system appends it as a whole
        os.fsync(self._file)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)
