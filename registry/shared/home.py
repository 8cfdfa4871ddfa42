"""The folder in which this program keeps things on a machine: the default registry and caches."""

from __future__ import annotations

import logging
import os
import tempfile
import threading
from pathlib import Path

from registry.errors import OutputError
from registry.paths import local_path, user_home
from registry.shared.outputs import make_folder

log = logging.getLogger(__name__)

VARIABLE = "DOMAIN_ROUTER_HOME"
DEFAULT = "~/.domain-router"

_TEMPORARY: dict[Path, tempfile.TemporaryDirectory[str]] = {}
_LOCK = threading.Lock()


def home() -> Path:
    """The absolute folder that ``DOMAIN_ROUTER_HOME`` names, else ``~/.domain-router``. It need not exist.

    An empty value counts as none; a relative one starts at the working directory, as a relative registry does.

    Raises:
        OutputError: the value is a URL, or begins with ``~`` and that home folder is unknown.
    """
    given = os.environ.get(VARIABLE, "").strip()
    if given:
        return local_path(given, OutputError, VARIABLE).absolute()
    if user_home() is None:
        raise OutputError(f"{DEFAULT}: your home folder is unknown: set {VARIABLE} to a folder")
    return local_path(DEFAULT, OutputError).absolute()


def cache_folder(kind: str) -> Path:
    """Where things of a kind are kept that can be made again; it need not exist.

    A user without a home folder gets a temporary one.

    Raises:
        OutputError: ``DOMAIN_ROUTER_HOME`` is not a folder's name.
    """
    if not os.environ.get(VARIABLE, "").strip() and user_home() is None:
        return temporary_folder(Path(DEFAULT, "cache", kind), f"your home folder is unknown, and {VARIABLE} is not set")
    return home() / "cache" / kind


def writable_cache_folder(kind: str) -> Path:
    """The same folder, made if it is missing; a temporary one if nothing can be written there.

    Raises:
        OutputError: see :func:`cache_folder`.
    """
    folder = cache_folder(kind)
    try:
        make_folder(folder)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except (OSError, OutputError) as error:
        return temporary_folder(folder, str(error))


def temporary_folder(instead_of: Path, why: str) -> Path:
    """A folder in place of a cache that cannot be used; it is removed when the process ends.

    Args:
        instead_of: the folder of the cache; each has one such folder in a process.
        why: it cannot be used; logged once.

    Raises:
        OutputError: there is no place for temporary files either.
    """
    with _LOCK:
        if instead_of not in _TEMPORARY:
            try:
                _TEMPORARY[instead_of] = tempfile.TemporaryDirectory(prefix="domain-router-")
            except OSError as error:
                raise OutputError(f"{why}; and a temporary folder cannot be made: {error}") from error
            log.warning("%s cannot be used as a cache, each process makes its own: %s", instead_of, why)
        return Path(_TEMPORARY[instead_of].name)
