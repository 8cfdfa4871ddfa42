"""Access keys: who may ask for what, and how often. Their file holds digests only."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from pathlib import Path
from typing import Literal

import pydantic

from registry.errors import OutputError
from registry.shared.outputs import write_atomically
from registry.shared.wording import first_fault
from router_plugin.errors import KeysError

Scope = Literal["route", "embed", "train", "admin"]

_PREFIX = "dr-"
"""Keys begin with it, so that scanners for secrets can find them."""


class Key(pydantic.BaseModel):
    """A key as its file knows it.

    Attributes:
        name: of its owner.
        digest: SHA-256 of the key, in hexadecimal. A key has 256 random bits, so no slow digest is needed.
        scopes: what it allows; ``admin`` allows everything.
        requests_per_minute: how often it may be used; None for no limit.
    """

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    name: str = pydantic.Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    digest: str = pydantic.Field(pattern=r"^[0-9a-f]{64}$")
    scopes: tuple[Scope, ...] = pydantic.Field(min_length=1)
    requests_per_minute: int | None = pydantic.Field(default=None, ge=1)

    def allows(self, scope: Scope) -> bool:
        """Whether the key may be used for this."""
        return scope in self.scopes or "admin" in self.scopes


class Keys(pydantic.BaseModel):
    """The keys of a file."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    keys: tuple[Key, ...] = ()

    @classmethod
    def load(cls, path: Path) -> Keys:
        """Read them.

        Raises:
            KeysError: the file cannot be read, or is not what :meth:`save` writes.
        """
        try:
            return cls.model_validate_json(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise KeysError(f"{path}: cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise KeysError(f"{path}: is not UTF-8 text") from error
        except pydantic.ValidationError as error:
            raise KeysError(
                f"{path}: is not what 'domain-router keys' writes: {first_fault(error, 'the file')}"
            ) from error

    def save(self, path: Path) -> None:
        """Write them as JSON, atomically, for the owner of the file alone.

        Raises:
            KeysError: they cannot be written.
        """
        try:
            write_atomically(path, self.model_dump_json(indent=2) + "\n")
            path.chmod(0o600)
        except OutputError as error:
            raise KeysError(str(error)) from error

    def with_new(
        self, name: str, scopes: tuple[Scope, ...], requests_per_minute: int | None = None
    ) -> tuple[Keys, str]:
        """These keys and a new one, and the new one itself, which is not kept anywhere.

        Raises:
            KeysError: the name is taken or malformed.
        """
        if any(each.name == name for each in self.keys):
            raise KeysError(f"`name` {name!r}: there is a key of this name: remove it first, or choose another name")
        secret = _PREFIX + secrets.token_urlsafe(32)
        try:
            key = Key(name=name, digest=_digest(secret), scopes=scopes, requests_per_minute=requests_per_minute)
        except pydantic.ValidationError as error:
            raise KeysError(first_fault(error)) from error
        return Keys(keys=(*self.keys, key)), secret

    def without(self, name: str) -> Keys:
        """These keys without one.

        Raises:
            KeysError: there is no key of this name.
        """
        kept = tuple(each for each in self.keys if each.name != name)
        if len(kept) == len(self.keys):
            known = ", ".join(each.name for each in kept) or "none, for the file has no keys"
            raise KeysError(f"unknown key {name!r}: expected one of {known}")
        return Keys(keys=kept)

    def find(self, secret: str) -> Key | None:
        """The key that a client sent; None if it is unknown. Takes as long for every key of the file."""
        digest, found = _digest(secret), None
        for each in self.keys:
            if hmac.compare_digest(digest, each.digest):
                found = each
        return found


class RateLimits:
    """How often keys were used in the last minute: each has a bucket of requests, which fills evenly."""

    def __init__(self) -> None:
        self._left: dict[str, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def wait(self, key: Key, now: float | None = None) -> float:
        """Count a request.

        Returns:
            0; or the seconds after which there will be a request left, and then this one is not counted.
        """
        if key.requests_per_minute is None:
            return 0.0
        now, most = time.monotonic() if now is None else now, float(key.requests_per_minute)
        with self._lock:
            left, since = self._left.get(key.name, (most, now))
            left = min(most, left + (now - since) * most / 60)
            if left < 1:
                self._left[key.name] = left, now
                return (1 - left) * 60 / most
            self._left[key.name] = left - 1, now
            return 0.0


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()
