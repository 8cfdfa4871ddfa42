"""The local copies of remote artifacts: those used last stay, up to a limit. Safe to use from several processes."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from registry.errors import RegistryError
from registry.storage.local_store import LocalStore

VARIABLE = "DOMAIN_ROUTER_COPIES_GB"
DEFAULT_GB = 20.0
IN_USE = 3600.0
"""Seconds for which a copy is never removed after a process was given it."""


class _Copy(NamedTuple):
    used: float
    digest: str
    size: int


def limit() -> float:
    """The bytes that copies may take, from the environment variable ``DOMAIN_ROUTER_COPIES_GB``, else 20 GB.

    Raises:
        RegistryError: the variable is not a number above 0.
    """
    given = os.environ.get(VARIABLE, "").strip()
    try:
        size = float(given) if given else DEFAULT_GB
    except ValueError:
        size = 0.0
    if not 0 < size < float("inf"):
        raise RegistryError(f"{VARIABLE}={given!r}: expected gigabytes, a number above 0")
    return size * 1e9


def mark_used(copies: LocalStore, digest: str) -> None:
    """Keep a copy from being removed for the next hour; to be called before it is checked.

    The lock orders this and the look of whoever removes copies: either the mark is seen, or the copy is gone already.
    """
    with copies.lock(digest), suppress(OSError):  # it is gone, or nobody who works as this user can remove it
        os.utime(copies.root / digest)


def remove_old(copies: LocalStore) -> list[str]:
    """Remove the copies used longest ago until the others are within the limit; returns the digests of those removed.

    Raises:
        RegistryError: the limit is invalid.
    """
    most, removed = limit(), []
    found = sorted(_found(copies))
    size = sum(copy.size for copy in found)
    for copy in found:
        aside = None
        if size <= most:
            break
        with copies.lock(copy.digest), suppress(OSError):  # another process may have removed it
            if _is_in_use(copies.root / copy.digest):
                continue
            aside = copies.set_aside(copy.digest)
            size -= copy.size
        if aside is not None:
            copies.drop(aside)
            removed.append(copy.digest)
    return removed


def _found(copies: LocalStore) -> list[_Copy]:
    found = []
    for digest in copies.digests():
        with suppress(OSError):
            found.append(_Copy((copies.root / digest).stat().st_mtime, digest, copies.size(digest)))
    return found


def _is_in_use(copy: Path) -> bool:
    return copy.stat().st_mtime > time.time() - IN_USE
