"""A finding of ``doctor``, and how a check that fails becomes one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from registry.shared.wording import first_line

State = Literal["ok", "warning", "fault"]


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Attributes:
        check: its name.
        state: a warning leaves everything working, if slowly or in part; a fault does not.
        found: in a few words.
        advice: what to do about it; empty where there is nothing to do.
    """

    check: str
    state: State
    found: str
    advice: str = ""


Check = Callable[[], Iterable[Finding]]


def findings_of(name: str, check: Check) -> Iterator[Finding]:
    """The findings of a check; an error that it meets is one of them."""
    try:
        yield from check()
    except Exception as error:  # noqa: BLE001
        said = first_line(error) or type(error).__name__
        yield Finding(name, "fault", said, "mend this first: what depends on it was not looked at")


def size_of(folder: Path) -> int:
    """Bytes of the files in a folder, as far as they can be seen."""
    found = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                found += os.lstat(os.path.join(parent, name)).st_size  # noqa: PTH118
            except OSError:  # removed meanwhile
                continue
    return found


def in_units(size: float) -> str:
    """A number of bytes, for people."""
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
