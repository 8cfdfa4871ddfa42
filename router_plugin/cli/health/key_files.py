"""Files that hold or guard secrets, and who may read them. What they hold is never shown."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from router_plugin.cli.health.findings import Finding

ACCESS_KEYS = Path("keys.json")
"""Where ``domain-router keys`` and ``serve`` look for access keys, seen from the working directory."""
OTHERS_READ = stat.S_IRGRP | stat.S_IROTH
OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def key_files() -> Iterator[Finding]:
    """The file of access keys, and the public keys that signatures are checked with."""
    from registry.signing.trust import VARIABLE, trusted_keys

    if ACCESS_KEYS.is_file():
        yield _private(ACCESS_KEYS, OTHERS_READ | OTHERS_WRITE)
    else:
        yield Finding("access keys", "ok", f"no {ACCESS_KEYS} here")
    if not os.environ.get(VARIABLE, "").strip():
        yield Finding("trusted keys", "ok", f"{VARIABLE} is not set: unsigned versions are loaded")
        return
    for path in trusted_keys():
        yield _private(path, OTHERS_WRITE, "trusted key")


def _private(path: Path, forbidden: int, name: str = "access keys") -> Finding:
    mode = stat.S_IMODE(path.stat().st_mode)
    if not os.access(path, os.R_OK):
        return Finding(name, "fault", f"{path} cannot be read by you", f"chown it, or run as its owner: {path}")
    if mode & forbidden:
        may = "read" if forbidden & OTHERS_READ and mode & OTHERS_READ else "write"
        advice = f"chmod {mode & ~forbidden:o} {path}"
        return Finding(name, "warning", f"others may {may} {path}, of mode {mode:o}", advice)
    return Finding(name, "ok", f"{path}, of mode {mode:o}")
