"""Where things are kept on this machine: our own folder, the cache of the Hugging Face Hub, and the disk."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from router_plugin.cli.health.findings import Finding, in_units, size_of

LITTLE_SPACE = 5e9
"""Bytes: a base model, its training run and its versions fit in more."""
TINY_SPACE = 5e8


def home() -> Iterator[Finding]:
    """The folder of what this program keeps."""
    from registry.shared.home import VARIABLE
    from registry.shared.home import home as find_home
    from registry.shared.outputs import leftovers

    folder = find_home()
    yield _writable("home", folder, f"set {VARIABLE} to a folder that you may write")
    cache = folder / "cache"
    if cache.is_dir():
        yield Finding("cache", "ok", f"{in_units(size_of(cache))} in {cache}, which can be made again")
        left = [path for each in (cache, *cache.iterdir()) if each.is_dir() for path in leftovers(each)]
        if left:
            size = in_units(sum(size_of(path) if path.is_dir() else path.lstat().st_size for path in left))
            said = f"{len(left)} of killed processes, {size}: {left[0]}"
            yield Finding("leftovers", "warning", said, "the next that writes there removes them; so may you")


def hub() -> Iterator[Finding]:
    """The cache of models and data sets, and whether the Hub may be asked."""
    from huggingface_hub import constants

    folder = Path(constants.HF_HUB_CACHE)
    size = in_units(size_of(folder)) if folder.is_dir() else "nothing yet"
    yield _writable("hub cache", folder, "set HF_HOME to a folder that you may write", f"{size} in ")
    if constants.HF_HUB_OFFLINE:
        said = "offline: nothing is downloaded, as HF_HUB_OFFLINE says"
        yield Finding("hub", "ok", said, "unset it to download models")
    else:
        yield Finding("hub", "ok", f"models are downloaded from {constants.ENDPOINT}")


def disk() -> Iterator[Finding]:
    """Free space where this program writes."""
    from registry.shared.home import home as find_home

    for name, folder in (("home", find_home()), ("temporary files", Path(tempfile.gettempdir()))):
        free = shutil.disk_usage(_existing(folder)).free
        state = "fault" if free < TINY_SPACE else "warning" if free < LITTLE_SPACE else "ok"
        advice = "" if state == "ok" else "free some space: 'domain-router models gc' removes what is unused"
        yield Finding(f"disk of {name}", state, f"{in_units(free)} free", advice)  # type: ignore[arg-type]


def _writable(name: str, folder: Path, advice: str, size: str = "") -> Finding:
    """Whether a folder is there and can be written, or could be made."""
    there = _existing(folder)
    if not there.is_dir():
        return Finding(name, "fault", f"{there} is not a folder", advice)
    if not os.access(there, os.W_OK | os.X_OK):
        return Finding(name, "warning", f"{size}{folder}: you may not write in {there}", advice)
    return Finding(name, "ok", f"{size}{folder}" + ("" if there == folder else ", made when it is needed"))


def _existing(path: Path) -> Path:
    """The path, or the nearest parent that exists."""
    return next(each for each in (path, *path.parents) if each.exists())
