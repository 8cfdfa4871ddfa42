"""The files that a server's routes came from, and how a changed route is saved in its file."""

from __future__ import annotations

import difflib
import hashlib
import os
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from registry.shared.outputs import write_atomically
from router_plugin.errors import RoutesError
from router_plugin.router import DomainRouter
from router_plugin.routes import Route, check_routes
from router_plugin.routes_text.editing import RouteChange, with_change
from router_plugin.routes_text.places import lines_of
from router_plugin.server.errors import RequestError
from router_plugin.serving.state import ServingState

BACKUP = ".bak"
"""Ending of the file beside a routes file that has what stood there before the last change."""

CONTEXT = 3
"""Lines shown around changed ones."""


class FileChangedError(RequestError):
    """A file is no longer what it was when somebody began to edit it."""

    status, code = 409, "conflict"


class RouteFile(NamedTuple):
    """A routes file as it was loaded.

    Attributes:
        path: of the file itself, where links lead to it.
        text: of the file.
    """

    path: Path
    text: str

    @property
    def digest(self) -> str:
        """Of the text."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def writable(self) -> bool:
        """Whether it can be replaced."""
        return os.access(self.path, os.W_OK) and os.access(self.path.parent, os.W_OK)

    def changed(self, before: Route, after: Route) -> str:
        """The text with a route changed."""
        return with_change(self.path, self.text, RouteChange(before, after))


class RouteFiles:
    """The files of a router's routes. Safe to use from several threads."""

    def __init__(self, paths: Sequence[Path]) -> None:
        """
        Args:
            paths: of the files.

        Raises:
            RoutesError: a file cannot be read.
        """
        self._files = [_read(path) for path in paths]
        self._lock = threading.Lock()

    def holding(self, route: Route) -> RouteFile | None:
        """The file that a route stands in, as it was given; None where that cannot be found out."""
        if len(self._files) == 1:
            return self._files[0]
        return next((file for file in self._files if lines_of(*file, route)), None)

    def save(self, route: Route, digest: str, router: DomainRouter) -> RouteFile:
        """Save a changed route in its file, and let a router serve it.

        Args:
            route: with the name of one that is there.
            digest: of the file when somebody began to edit it.
            router: that serves the routes of the files.

        Returns:
            The new file.

        Raises:
            RoutesError: there is no such route, or it names an unknown domain.
            FileChangedError: the file was changed meanwhile.
            OutputError: the system does not let it be written; then nothing is changed.
        """
        with self._lock:
            before = given_route(router.state, route.name)
            check_routes([route], router.domains)
            file = self.holding(before)
            if file is None:
                raise RoutesError(f"route {route.name!r}: its file is not known: download it, and change it there")
            if digest != file.digest or _read(file.path).digest != digest:
                raise FileChangedError(
                    f"{file.path.name} was changed meanwhile: load the page again; if the change was not made here, "
                    "restart the server first"
                )
            saved = RouteFile(file.path, file.changed(before, route))
            _replace(file.path, file.text, saved.text)
            self._files[self._files.index(file)] = saved
            router.change(lambda state: with_candidates(state.with_changed(route)))
            return saved


def given_route(state: ServingState, name: str) -> Route:
    """A route as it was given.

    Raises:
        RoutesError: there is none of this name.
    """
    found = next((route for route in state.given if route.name == name), None)
    if found is None:
        raise RoutesError(f"unknown route {name!r}")
    return found


def with_candidates(state: ServingState) -> ServingState:
    """A state whose candidates are embedded, so that no query waits for that."""
    state.load_classifier()
    state.load_candidates(state.used_domains())
    return state


def _replace(path: Path, before: str, after: str) -> None:
    """Write a file, with the same rights as before, and the earlier text beside it."""
    backup, mode = path.with_name(f"{path.name}{BACKUP}"), path.stat().st_mode
    write_atomically(backup, before)
    shutil.copymode(path, backup)
    write_atomically(path, after)
    path.chmod(mode & 0o7777)


def _read(path: Path) -> RouteFile:
    try:
        return RouteFile(path.resolve(), path.read_bytes().decode("utf-8"))
    except OSError as error:
        raise RoutesError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise RoutesError(f"{path}: is not UTF-8 text") from error


def changed_lines(before: str, after: str) -> list[str]:
    """The lines that differ between two texts, with those around, as a unified diff has them."""
    old, new = before.splitlines(), after.splitlines()
    start = _common(old, new)
    end = _common(old[start:][::-1], new[start:][::-1])
    first, last = max(0, start - CONTEXT), max(0, end - CONTEXT)
    old, new = old[first : len(old) - last], new[first : len(new) - last]
    lines = list(difflib.unified_diff(old, new, n=CONTEXT, lineterm=""))[2:]
    return [line for line in lines if not line.startswith("@@")]


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """How many lines at the beginning are the same."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((number for number, (a, b) in pairs if a != b), min(len(one), len(other)))
