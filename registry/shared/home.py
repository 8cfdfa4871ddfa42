"""The folder in which this program keeps things on a machine: the default registry, caches and locks."""

from __future__ import annotations

import os
from pathlib import Path

from registry.errors import OutputError

VARIABLE = "DOMAIN_ROUTER_HOME"
DEFAULT = "~/.domain-router"


def home() -> Path:
    """The absolute folder that ``DOMAIN_ROUTER_HOME`` names, else ``~/.domain-router``. It need not exist.

    An empty value counts as none; a relative one starts at the working directory, as a relative registry does.

    Raises:
        OutputError: the value is a URL, or begins with ``~`` and the home folder is unknown.
    """
    given = os.environ.get(VARIABLE, "").strip() or DEFAULT
    if "://" in given:
        raise OutputError(f"{VARIABLE} {given}: expected a folder, not a URL")
    try:
        return Path(given).expanduser().absolute()
    except RuntimeError as error:
        raise OutputError(f"{given}: the home folder is unknown: set {VARIABLE} to a folder without ~") from error


def cache_folder(kind: str) -> Path:
    """Where things of a kind are kept that can be made again; it need not exist.

    Raises:
        OutputError: see :func:`home`.
    """
    return home() / "cache" / kind
