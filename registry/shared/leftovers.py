"""What a process that was killed left of a folder it was writing: removed by the next one that writes there."""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from pathlib import Path

AGE = 24 * 3600.0
"""Seconds after which nobody writes such a folder any more."""


def remove_leftovers(parent: Path, prefix: str) -> None:
    """Remove the folders of that prefix that are older than :data:`AGE`; what cannot be removed stays."""
    oldest = time.time() - AGE
    for folder in parent.glob(f"{prefix}*"):
        with suppress(OSError):  # another process may remove it just now
            if folder.stat().st_mtime < oldest:
                shutil.rmtree(folder, ignore_errors=True)
