"""Who may ask for what: every path needs a scope, and one that is not listed here needs that of an administrator."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from router_plugin.server.errors import NoKeyError, NotAllowedError, RateLimitError
from router_plugin.server.protection.key_file import KeyFile
from router_plugin.server.protection.keys import Key, RateLimits, Scope

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Send
    from starlette.types import Scope as Connection

OPEN = frozenset({"/health/live", "/health/ready", "/version", "/openapi.json"})
"""Paths that need no key."""

SCOPES: dict[str, Scope] = {
    "/v1/embeddings": "embed",
    "/v1/models": "embed",
    "/embed": "embed",
    "/classify": "route",
    "/routes/classify": "route",
    "/v1/route": "route",
    "/v1/route/batch": "route",
    "/v1/explain": "route",
    "/v1/feedback": "route",
    "/v1/systemone": "route",
    "/v1/decisions": "route",
    "/mcp": "route",
    "/v1/runs": "train",
}
"""What the other paths and those below them need."""

_PUBLIC = Key(name="anonymous", digest="0" * 64, scopes=("admin",))


class AccessControl:
    """Lets through what a key allows."""

    def __init__(self, app: ASGIApp, keys: KeyFile | None) -> None:
        """
        Args:
            app: to protect.
            keys: that are known; None where none are needed.
        """
        self._app, self._keys, self._limits = app, keys, RateLimits()

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        """Pass on a request.

        Raises:
            NoKeyError: there is no key, or an unknown one.
            NotAllowedError: its scopes do not cover the path.
            RateLimitError: it was used too often.
        """
        if scope["type"] == "http":
            scope["key"] = self._checked(scope["path"], scope["headers"])
        await self._app(scope, receive, send)

    def _checked(self, path: str, headers: list[tuple[bytes, bytes]]) -> Key:
        if self._keys is None or path in OPEN:
            return _PUBLIC
        given = next((value for name, value in headers if name == b"authorization"), b"").decode("latin-1")
        kind, _, secret = given.partition(" ")
        key = self._keys.find(secret.strip()) if kind.lower() == "bearer" else None
        if key is None:
            raise NoKeyError("expected a header 'Authorization: Bearer KEY' with a key that this server knows")
        needed = scope_of(path)
        if not key.allows(needed):
            raise NotAllowedError(f"the key {key.name!r} does not allow {path}: it needs the scope {needed!r}")
        if wait := self._limits.wait(key):
            raise RateLimitError(max(1, math.ceil(wait)))
        return key


def scope_of(path: str) -> Scope:
    """What a path needs."""
    while path:
        if path in SCOPES:
            return SCOPES[path]
        path = path.rpartition("/")[0]
    return "admin"
