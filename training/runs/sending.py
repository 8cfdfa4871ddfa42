"""Sends what a run reports from a thread of its own, so that no server can delay or end a training."""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import TYPE_CHECKING

from training.errors import TrainingError

if TYPE_CHECKING:
    import httpx

API_KEY = "DOMAIN_ROUTER_API_KEY"
"""Environment variable of the server's key, as clients use it."""
TIMEOUT = 5.0
"""Seconds for each part of a request."""
LAST = 5.0
"""Seconds that the end of a run waits for what is not sent yet."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
"""Seconds after a request; twice as many after each that fails."""
ALIVE = 15.0
"""Seconds after which the same is sent again, so that the server knows that the run goes on."""

log = logging.getLogger(__name__)


class Sender:
    """Puts the newest content of each address of a run; what is replaced before it was sent is never sent."""

    def __init__(self, url: str, run: str) -> None:
        """
        Args:
            url: of the server.
            run: identifier of the run.

        Raises:
            TrainingError: what sends is not installed.
        """
        try:
            import httpx
        except ImportError as error:
            raise TrainingError("`report_to` needs httpx: pip install 'domain-router[client]'") from error
        self._http = httpx.Client(headers=_headers(), timeout=TIMEOUT)
        self._root = f"{url.rstrip('/')}/v1/runs/{run}"
        self._waiting: dict[str, bytes] = {}
        self._state = b""
        self._change = threading.Condition()
        self._closing = self._warned = False
        self._ends = float("inf")
        self._thread = threading.Thread(target=self._run, name="report-to", daemon=True)
        self._thread.start()

    def send(self, path: str, content: bytes) -> None:
        """Hand over what is to be sent, in place of what waits for the same path."""
        with self._change:
            self._waiting[path] = content
            self._change.notify()

    def close(self) -> None:
        """Wait for what is left, but not for long."""
        with self._change:
            self._closing, self._ends = True, time.monotonic() + LAST
            self._change.notify()
        self._thread.join(LAST)
        if self._thread.is_alive():
            self._warn(f"{self._root}: the end of the run could not be reported in time")

    def _run(self) -> None:
        pause = FIRST_PAUSE
        with self._http as http:
            while waiting := self._next():
                failed = {path: content for path, content in waiting.items() if not self._put(http, path, content)}
                with self._change:
                    self._waiting = {**failed, **self._waiting}
                    if self._closing and (not self._waiting or time.monotonic() > self._ends):
                        return
                pause = min(2 * pause, LONGEST_PAUSE) if failed else FIRST_PAUSE
                self._rest(pause)

    def _next(self) -> dict[str, bytes]:
        """What is to be sent now: what waits, or after a while the state again; nothing at the end."""
        with self._change:
            self._change.wait_for(lambda: self._waiting or self._closing, ALIVE)
            waiting, self._waiting = self._waiting, {}
            self._state = waiting.get("", self._state)
            return waiting or ({} if self._closing else {"": self._state})

    def _rest(self, seconds: float) -> None:
        with self._change:
            self._change.wait_for(lambda: self._closing, seconds)
        if self._closing:
            time.sleep(min(seconds, 0.2))

    def _put(self, http: httpx.Client, path: str, content: bytes) -> bool:
        try:
            answer = http.put(self._root + path, content=content, headers={"Content-Type": "application/json"})
        except Exception as error:  # noqa: BLE001  whatever it is, the training goes on
            self._warn(f"{self._root}: {error or type(error).__name__}")
            return False
        if not answer.is_success:
            self._warn(f"{self._root}: {' '.join(answer.text.split())[:300]} (HTTP {answer.status_code})")
        return answer.is_success

    def _warn(self, text: str) -> None:
        """Say once that the server is not reached."""
        if not self._warned:
            self._warned = True
            log.warning("the run is not reported for now, and goes on: %s", text)


def _headers() -> dict[str, str]:
    key = os.environ.get(API_KEY, "").strip()
    return {"Authorization": f"Bearer {key}"} if key.isascii() and key.isprintable() and key else {}
