"""The access keys of a file as it is now: a server follows it, so that keys are added and revoked while it runs."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from router_plugin.errors import KeysError
from router_plugin.server.protection.keys import Key, Keys

log = logging.getLogger(__name__)


class KeyFile:
    """Keys that are read again whenever their file has changed.

    Attributes:
        fault: why the file as it is now cannot be used, so that the keys it had before still hold; None where it can.
    """

    def __init__(self, path: Path) -> None:
        """
        Args:
            path: of the file.

        Raises:
            KeysError: it cannot be read, or is not what ``domain-router keys`` writes.
        """
        self.fault: str | None = None
        self._path, self._seen = path, _state(path)
        self._keys = Keys.load(path)

    def find(self, secret: str) -> Key | None:
        """See :meth:`Keys.find`."""
        return self._keys.find(secret)

    def all(self) -> tuple[Key, ...]:
        """The keys that are valid now."""
        return self._keys.keys

    async def follow(self, seconds: float) -> None:
        """Look at the file for ever.

        Args:
            seconds: between two looks.
        """
        while True:
            await asyncio.sleep(seconds)
            await asyncio.to_thread(self.look)

    def look(self) -> None:
        """Take the keys that the file has now. One that cannot be used leaves the earlier keys valid."""
        state = _state(self._path)
        if state == self._seen:
            return
        self._seen = state  # as it was before it is read: what changes meanwhile is read the next time
        try:
            self._keys, self.fault = Keys.load(self._path), None
            log.info("%s has changed: its keys are valid now", self._path)
        except KeysError as error:
            self.fault = str(error)
            log.error("the keys cannot be read again, the earlier ones stay valid: %s", error)


def _state(path: Path) -> tuple[int, int, int] | None:
    """What differs after every change; None where the file cannot be looked at."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
