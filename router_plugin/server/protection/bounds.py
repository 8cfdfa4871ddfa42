"""Bounds every request: the size of its body, the time it may take, and that somebody still waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

import orjson

from router_plugin.server.errors import RequestError, TimedOutError, TooLargeError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

TIMEOUT_HEADER = b"x-request-timeout"
"""Seconds after which the client itself gives up, so that no work is done for nothing."""


class Bounds:
    """Reads the body of a request before it is passed on; ends what takes too long or lost its client."""

    def __init__(self, app: ASGIApp, max_bytes: int, timeout: float, admit: Callable[[], None]) -> None:
        """
        Args:
            app: that answers.
            max_bytes: of a body.
            timeout: seconds for reading and answering together.
            admit: raises a RequestError where no more work can be taken; asked before a body is parsed.
        """
        self._app, self._max_bytes, self._timeout, self._admit = app, max_bytes, timeout, admit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or none if the client is gone.

        Raises:
            TooLargeError: its body is too large.
            RequestError: its body is to be JSON, and is not; or no more work can be taken.
            TimedOutError: it took too long.
        """
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        seconds = self._seconds(scope["headers"])
        try:
            await asyncio.wait_for(self._read_and_answer(scope, receive, send), seconds)
        except asyncio.TimeoutError:
            raise TimedOutError(f"the request took longer than {seconds:g} s") from None

    async def _read_and_answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await self._body(scope["headers"], receive)
        if body is not None:
            if scope["method"] == "POST":
                self._admit()
            _check_json(scope["headers"], body)
            await self._answer(scope, body, receive, send)

    def _seconds(self, headers: list[tuple[bytes, bytes]]) -> float:
        for name, value in headers:
            if name == TIMEOUT_HEADER:
                try:
                    return min(max(0.001, float(value)), self._timeout)  # of "nan", the smaller
                except ValueError:
                    break
        return self._timeout

    async def _body(self, headers: list[tuple[bytes, bytes]], receive: Receive) -> bytes | None:
        """The whole body; None if the client is gone."""
        announced = next((value for name, value in headers if name == b"content-length"), b"0")
        if announced.isdigit() and int(announced) > self._max_bytes:
            raise self._too_large()
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            body += message.get("body", b"")
            if len(body) > self._max_bytes:
                raise self._too_large()
            if not message.get("more_body", False):
                return bytes(body)

    def _too_large(self) -> TooLargeError:
        return TooLargeError(f"the body of the request is larger than {self._max_bytes // 1000} KB")

    async def _answer(self, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
        """Let the application answer, as long as the client is there."""
        unread = [body]

        async def read() -> Message:
            if unread:
                return {"type": "http.request", "body": unread.pop(), "more_body": False}
            return await receive()

        answering = asyncio.ensure_future(self._app(scope, read, send))
        leaving = asyncio.ensure_future(_disconnected(receive))
        try:
            await asyncio.wait((answering, leaving), return_when=asyncio.FIRST_COMPLETED)
            if answering.done():
                answering.result()
        finally:
            for task in (answering, leaving):
                task.cancel()


def _check_json(headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    """Make sure that JSON is UTF-8, not nested a thousand times, and holds no half characters."""
    if body and any(name == b"content-type" and b"json" in value for name, value in headers):
        try:
            orjson.loads(body)
        except ValueError as error:
            raise RequestError(f"the body is not JSON: {error}") from None


async def _disconnected(receive: Receive) -> None:
    """Wait until the client is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
