"""Who uses the console: signed cookies of people who gave the key of an administrator, and tokens for their forms."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from typing import NamedTuple

from router_plugin.server.console.ended_sessions import EndedSessions
from router_plugin.server.protection.key_file import KeyFile
from router_plugin.server.protection.keys import Key
from router_plugin.server.traffic.traffic_file import TrafficFile

COOKIE = "domain-router-console"
LASTS = 12 * 3600
"""Seconds after which somebody has to sign in again."""
LOCAL_USER = "local"
"""The name of whoever uses a server without keys, which only its own machine can reach."""

_COOKIE = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]{0,63})\|(?P<ends>\d{1,12})\|(?P<nonce>[\w-]{20,64})\|(?P<mac>[0-9a-f]{64})"
)


class Session(NamedTuple):
    """A use of the console.

    Attributes:
        name: of the key that was given, or ``local``.
        token: that every form of it sends along.
        id: of it.
        ends: when its cookie does, in seconds since 1970.
    """

    name: str
    token: str
    id: str
    ends: int


class Sessions:
    """Makes and reads cookies.

    A cookie is signed with the digest of its user's key. So every process of a server reads it, and it ends when
    that key is removed.
    """

    def __init__(self, keys: KeyFile | None, file: TrafficFile | None = None) -> None:
        """
        Args:
            keys: that the server knows; None where none are needed.
            file: in which its processes remember who signed out; without one, a session ends in the browser alone.

        Raises:
            ServerError: the file cannot be used. So by :meth:`read` and :meth:`end`.
        """
        self._keys = keys
        self._ended = EndedSessions(file, LASTS) if keys and file else None

    @property
    def local(self) -> bool:
        """Whether nobody signs in."""
        return self._keys is None

    @property
    def possible(self) -> bool:
        """Whether there is anybody who can sign in."""
        return self._keys is None or any(key.allows("admin") for key in self._keys.all())

    def start(self, secret: str = "") -> str | None:
        """A new cookie.

        Args:
            secret: the key that was given; where there are no keys, none is needed.

        Returns:
            None where it is not the key of an administrator.
        """
        if self._keys is None:
            return _signed(LOCAL_USER, "", time.time() + LASTS)
        key = self._keys.find(secret)
        return _signed(key.name, key.digest, time.time() + LASTS) if key and key.allows("admin") else None

    def read(self, cookie: str) -> Session | None:
        """The session of a cookie; None where it is not ours, has ended, or its key is gone. Call it in a thread."""
        found = _COOKIE.fullmatch(cookie)
        if found is None or int(found["ends"]) < time.time():
            return None
        digest = self._digest(found["name"])
        if digest is None or not hmac.compare_digest(found["mac"], _mac(digest, cookie.rpartition("|")[0])):
            return None
        session = Session(found["name"], _mac(digest, f"form|{found['nonce']}"), found["nonce"], int(found["ends"]))
        return None if self._ended and self._ended.has(session.id, session.ends) else session

    def end(self, session: Session) -> None:
        """End a session for whoever has its cookie, in all processes."""
        if self._ended:
            self._ended.add(session.id, session.ends)

    def _digest(self, name: str) -> str | None:
        if self._keys is None:
            return "" if name == LOCAL_USER else None
        key: Key | None = next((each for each in self._keys.all() if each.name == name), None)
        return key.digest if key and key.allows("admin") else None


def _signed(name: str, digest: str, ends: float) -> str:
    text = f"{name}|{int(ends)}|{secrets.token_urlsafe(24)}"
    return f"{text}|{_mac(digest, text)}"


def _mac(digest: str, text: str) -> str:
    return hmac.new(b"domain-router console " + digest.encode(), text.encode(), hashlib.sha256).hexdigest()
