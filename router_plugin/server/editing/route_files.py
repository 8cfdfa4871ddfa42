"""The files that a server's routes come from: a changed route is saved in its file, and changed files are served."""

from __future__ import annotations

import difflib
import hashlib
import logging
import os
import shutil
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path

from registry import DomainRouterError
from registry.shared.outputs import write_atomically
from router_plugin.decision import NO_ROUTE
from router_plugin.errors import RoutesError
from router_plugin.router import DomainRouter
from router_plugin.routes import Route
from router_plugin.routes_text.editing import RouteChange, with_change
from router_plugin.routes_text.reading import RoutesText, places_in
from router_plugin.server.errors import RequestError
from router_plugin.serving.state import ServingState

log = logging.getLogger(__name__)

BACKUP = ".bak"
"""Ending of the file beside a routes file that has what stood there before the last change."""

CONTEXT = 3
"""Lines shown around changed ones."""


_Stamp = tuple[int, int, int] | None


class FileChangedError(RequestError):
    """A file is no longer what it was when somebody began to edit it."""

    status, code = 409, "conflict"


class RouteFile(RoutesText):
    """A routes file as it was loaded."""

    @cached_property
    def digest(self) -> str:
        """Of the text."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def writable(self) -> bool:
        """Whether it can be replaced."""
        return os.access(self.path, os.W_OK) and os.access(self.path.parent, os.W_OK)

    def changed(self, change: RouteChange) -> str:
        """The text with a change of a route.

        Raises:
            RoutesError: no route is left.
        """
        return with_change(self, change)


class RouteFiles:
    """The files of a router's routes. Safe to use from several threads.

    Several processes of a server may change the files: each follows them.

    Attributes:
        fault: why the files as they are now are not served, so that the earlier routes are; None where they are.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        """
        Args:
            paths: of the files.

        Raises:
            RoutesError: a file cannot be read.
        """
        self.fault: str | None = None
        self._paths = list(paths)
        self._seen: tuple[list[_Stamp], tuple[str, ...]] | None = None
        self._files = [RouteFile(path.resolve(), _text(path)) for path in paths]
        self._lock = threading.Lock()

    def take_over(self, routes: Sequence[Route]) -> None:
        """Spare parsing the files: these routes were read from them meanwhile. Nothing, if that is not certain."""
        counts = [len(places_in(file.text)) for file in self._files]
        unchanged = [_text(path) for path in self._paths] == [file.text for file in self._files]
        if unchanged and all(counts) and sum(counts) == len(routes):
            left = iter(routes)
            self._files = [
                RouteFile(file.path, file.text, tuple(islice(left, count)))
                for file, count in zip(self._files, counts, strict=True)
            ]

    @property
    def files(self) -> tuple[RouteFile, ...]:
        """All of them."""
        return tuple(self._files)

    def holding(self, route: Route) -> RouteFile | None:
        """The file that a route stands in; None where that is not one of these."""
        if len(self._files) == 1:
            return self._files[0]
        return next((file for file in self._files if any(each.name == route.name for each in file.routes)), None)

    def save(self, change: RouteChange, digest: str, router: DomainRouter) -> RouteFile:
        """Save a change of a route in its file, and let a router serve it.

        Args:
            change: of a route that the router has, or of a new one.
            digest: of the file when somebody began to edit it; this says to which file a new route is added.
            router: that serves the routes of the files.

        Returns:
            The new file.

        Raises:
            RoutesError: there is no such route, its name is taken, it names an unknown domain, or is the file's only
                one.
            FileChangedError: the file was changed meanwhile.
            OutputError: the system does not let it be written; then nothing is changed.
        """
        with self._lock:
            file = self.holding(given_route(router.state, change.before.name)) if change.before else self._with(digest)
            if file is None:
                raise RoutesError("the file of this route is not known: download it, and change it there")
            if digest != file.digest or _text(file.path) != file.text:
                raise FileChangedError(f"{file.path.name} was changed meanwhile: load the page again")
            saved = file.with_text(file.changed(change))
            files = [saved if each is file else each for each in self._files]
            self._serve(router, files, lambda: _replace(file.path, file.text, saved.text))
            return saved

    def look(self, router: DomainRouter) -> None:
        """Let a router serve the routes that the files have now. Those that cannot be served leave the earlier ones.

        Args:
            router: as for :meth:`save`.
        """
        with self._lock:
            seen = _stamps(self._paths), router.domains  # a route may wait for its domain
            if seen == self._seen:
                return
            self._seen = seen  # as they were before they are read: what changes meanwhile is read the next time
            try:
                texts = [_text(path) for path in self._paths]
                if texts != [file.text for file in self._files]:
                    files = [file.with_text(text) for file, text in zip(self._files, texts, strict=True)]
                    self._serve(router, files)
                    log.info("%s changed: their routes are served now", ", ".join(map(str, self._paths)))
                self.fault = None
            except Exception as error:  # noqa: BLE001  the earlier routes go on serving
                self.fault = str(error) if isinstance(error, DomainRouterError) else type(error).__name__
                log.error("the routes cannot be served, the earlier ones are: %s", self.fault)

    def _with(self, digest: str) -> RouteFile:
        found = next((each for each in self._files if each.digest == digest), None)
        if found is None:
            raise FileChangedError("the routes file was changed meanwhile: load the page again")
        return found

    def _serve(self, router: DomainRouter, files: list[RouteFile], write: Callable[[], None] = lambda: None) -> None:
        """Serve the routes of files. They are written when they can be served, and served when they are written."""
        routes = [route for file in files for route in file.routes]
        check_names(routes)

        def step(state: ServingState) -> ServingState:
            new = with_candidates(state.with_given(routes))
            write()
            return new

        router.change(step)
        self._files = files


def given_route(state: ServingState, name: str) -> Route:
    """A route as it was given.

    Raises:
        RoutesError: there is none of this name.
    """
    found = next((route for route in state.given if route.name == name), None)
    if found is None:
        raise RoutesError(f"unknown route {name!r}")
    return found


def check_names(routes: Iterable[Route]) -> None:
    """Make sure that a server can answer with all routes.

    Raises:
        RoutesError: one has the name that stands for none.
    """
    if any(route.name == NO_ROUTE for route in routes):
        raise RoutesError(f"route {NO_ROUTE!r}: that is the label of queries without a route: choose another name")


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


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except OSError as error:
        raise RoutesError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise RoutesError(f"{path}: is not UTF-8 text") from error


def _stamps(paths: Iterable[Path]) -> list[_Stamp]:
    """Of each file what differs after every change; None where it cannot be looked at."""
    return [_stamp(path) for path in paths]


def _stamp(path: Path) -> _Stamp:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


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
