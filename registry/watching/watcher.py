"""Waits for changes of a registry: by its generation, which one tiny query reads, and by PostgreSQL's notifications."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL

from registry.errors import RegistryError
from registry.storage.database import CHANNEL, POSTGRESQL

if TYPE_CHECKING:
    from typing_extensions import Self

log = logging.getLogger(__name__)

POLL_SECONDS = 0.25
"""Between two looks at the generation, where nothing notifies of a change."""
LISTEN_SECONDS = 5.0
"""Between two looks where notifications arrive: a pooler in between, or a dead network, may lose them in silence."""
CONNECT_SECONDS = 5


class Watcher:
    """Notifies one thread of changes, also of those made while it did not wait or the database was away."""

    def __init__(self, generation: Callable[[], int], database: URL) -> None:
        """
        Args:
            generation: reads the number that every change counts up.
            database: whose notifications are heard, if it is a PostgreSQL.
        """
        self._generation = generation
        self._listener = _Listener(database) if database.get_backend_name() == "postgresql" else None
        self._seen: int | None = None

    def wait(self, timeout: float) -> bool:
        """Wait for a change.

        The first call answers at once, since its caller has read nothing yet. Read the registry after the answer.

        Args:
            timeout: seconds.

        Returns:
            Whether there was a change since the last call that answered True.

        Raises:
            RegistryError: the registry could not be read, nor at the end of the time.
        """
        end = time.monotonic() + timeout
        while True:
            fault: RegistryError | None = None
            listening = self._listener is not None and self._listener.connect()  # before the look, so that none is lost
            try:
                if (number := self._generation()) != self._seen:
                    self._seen = number
                    return True
            except RegistryError as error:
                fault = error
            left = end - time.monotonic()
            if left <= 0:
                if fault:
                    raise fault
                return False
            if self._listener and listening and not fault:
                self._listener.wait(min(left, LISTEN_SECONDS))
            else:
                time.sleep(min(left, POLL_SECONDS))

    def close(self) -> None:
        """Close the connection that listens. It is opened again by the next wait."""
        if self._listener:
            self._listener.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Listener:
    """A connection of its own to PostgreSQL, which hears notifications, and is made anew when it was lost."""

    def __init__(self, database: URL) -> None:
        self._url = database.set(drivername="postgresql").render_as_string(hide_password=False)
        self._connection: Any = None

    def connect(self) -> bool:
        """Whether it is connected; tries to, if it was not."""
        import psycopg

        if self._connection is None:
            try:
                connection = psycopg.connect(self._url, autocommit=True, connect_timeout=CONNECT_SECONDS, **POSTGRESQL)
                connection.execute(f"LISTEN {CHANNEL}")
            except psycopg.Error as error:
                log.debug("no notifications of the registry's changes: %s", type(error).__name__)
                return False
            self._connection = connection
        return True

    def wait(self, seconds: float) -> None:
        """Wait for a notification, or until the connection is lost."""
        import psycopg

        try:
            for _ in self._connection.notifies(timeout=seconds, stop_after=1):
                pass
        except psycopg.Error:
            self.close()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
