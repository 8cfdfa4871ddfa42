"""What a change of a route would do to labelled queries, and what is wrong with the routes: one thing at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from registry.texts.forms import text_key
from router_plugin.evaluation.confusions import Effect, effect
from router_plugin.evaluation.labelled_queries import ROUTE, LabelledQueries, read_labelled_queries
from router_plugin.router import DomainRouter
from router_plugin.routes import Route
from router_plugin.routes_text.editing import RouteChange
from router_plugin.server.errors import OverloadedError
from router_plugin.serving.state import ServingState
from router_plugin.tuning.strays import Strays, find_strays
from router_plugin.tuning.trying import Tried, decide_all, try_out

QUERIES = 2000
"""Labelled queries that are decided; of more, a sample."""
UTTERANCES = 5000
"""Utterances that are compared with all others; of more, a sample."""
WAIT = 20.0
"""Seconds that a request waits for another one that computes."""


class _Of(NamedTuple):
    """What was computed for a state, and for the file of labelled queries as it was."""

    state: ServingState
    file: tuple[float, int] | None
    tried: Tried | None = None
    strays: Strays | None = None


class Workshop:
    """Computes beside what serves, and keeps what it found for the present state. Safe to use from several threads."""

    def __init__(self, router: DomainRouter, labelled: Path | None) -> None:
        """
        Args:
            router: that serves; it is not changed.
            labelled: file of labelled queries; None where there is none.
        """
        self._router, self.file = router, labelled
        self._lock = threading.Lock()
        self._known: _Of | None = None

    def tried(self) -> Tried:
        """The labelled queries, decided by what serves.

        Raises:
            OverloadedError: another request computes.
            QueryError: the file holds other things.
            DomainRouterError: it cannot be read.
        """
        with self._alone():
            return self._tried(self._present())

    def effect(self, change: RouteChange) -> Effect:
        """What a change of a route would do to the labelled queries.

        Queries that are utterances of it are left out. Where its name changes, labels with either name are meant.

        Raises:
            RoutesError: its name is taken, or it names an unknown domain.
            DomainRouterError: see :meth:`tried`.
        """
        with self._alone():
            known = self._present()
            state = known.state.with_given(change.of(known.state.given))
            tried = self._tried(known, change.after)
            own = {text_key(text) for text in change.after.utterances} if change.after else set()
            rows = [row for row, query in enumerate(tried.queries) if text_key(query) not in own]
            after = decide_all(self._router, state, [tried.queries[row] for row in rows])
            labels = [_renamed(tried.labels[row], change) for row in rows]
            before = [
                replace(each, route=_renamed(each.route, change)) for each in map(tried.decisions.__getitem__, rows)
            ]
            return effect(labels, before, after)

    def strays(self) -> Strays:
        """The utterances that lie nearer to another route.

        Raises:
            OverloadedError: another request computes.
        """
        with self._alone():
            known = self._present()
            strays = known.strays or find_strays(known.state, UTTERANCES)
            self._known = known._replace(strays=strays)
            return strays

    def _present(self) -> _Of:
        """What is known of the present state and file; nothing where either changed."""
        state, file = self._router.state, _stamp(self.file)
        known = self._known
        return known if known and known.state is state and known.file == file else _Of(state, file)

    def _tried(self, known: _Of, new: Route | None = None) -> Tried:
        """The labelled queries, decided; labels may have the name of a new route."""
        tried = known.tried or try_out(self._router, known.state, self._read(known.state, new), QUERIES)
        self._known = known._replace(tried=tried)
        return tried

    def _read(self, state: ServingState, new: Route | None) -> LabelledQueries:
        assert self.file is not None
        return read_labelled_queries(self.file, ROUTE, [each.name for each in (*state.given, *([new] if new else []))])

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if not self._lock.acquire(timeout=WAIT):
            raise OverloadedError(int(WAIT))
        try:
            yield
        finally:
            self._lock.release()


def _renamed(route: str | None, change: RouteChange) -> str | None:
    """The name of a route after a change."""
    return change.after.name if change.before and change.after and route == change.before.name else route


def _stamp(file: Path | None) -> tuple[float, int] | None:
    """By which a changed file is known; None where it is not there."""
    try:
        found = file.stat() if file else None
    except OSError:
        return None
    return (found.st_mtime, found.st_size) if found else None
