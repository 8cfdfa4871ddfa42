"""Fits a router to labelled queries, and measures how well it routes them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from registry import GENERAL
from registry.progress import track
from registry.texts.forms import text_key
from router_plugin.batches import read_optional_texts, read_texts
from router_plugin.classifier.known.everyday import everyday_queries
from router_plugin.contracts import MOST_UNREAD
from router_plugin.errors import QueryError
from router_plugin.evaluation.fitted import Fitted
from router_plugin.evaluation.outcomes import Nearest
from router_plugin.evaluation.routes import RouteEvaluation, evaluate_routes
from router_plugin.router import DomainRouter
from router_plugin.serving.scores import Scored, score
from router_plugin.serving.state import ServingState
from router_plugin.tuning.fitting import Labelled, examples, fit_outcomes, lacking

log = logging.getLogger(__name__)

BLOCK = 256
"""Queries that are routed at a time."""
EVERYDAY = 200
"""Everyday queries that are routed as examples of queries without a route."""
SHOWN = 5
"""Unreadable queries that a warning names."""


class Tuner:
    """Fits the thresholds of a router's routes and the probabilities of outcomes, and evaluates it.

    The router may answer queries meanwhile; each is decided by what was fitted before or after, never by a mixture.
    """

    def __init__(self, router: DomainRouter) -> None:
        """
        Args:
            router: which is changed by :meth:`fit` and :meth:`apply`.
        """
        self._router = router

    def fit(self, queries: Iterable[str], labels: Iterable[str | None], domains: Iterable[str] | None = None) -> Fitted:
        """Fit thresholds, and the probabilities of outcomes, to labelled queries, and apply them.

        Where few of them have no route, everyday queries are used as well, and labelled ones as if their route did not
        exist; see :func:`router_plugin.tuning.fitting.examples`.

        Queries that are utterances themselves are left out, see :meth:`evaluate`: their scores of 1 tell nothing about
        others.

        Args:
            queries: at least one.
            labels: name of the right route for each query, or None for no route.
            domains: see :meth:`router_plugin.DomainRouter.route_many`.

        Returns:
            What was fitted; :meth:`apply` gives it to another router of the same models and settings.

        Raises:
            QueryError: there are no queries, one is not text, or a label is not a route.
            FittedError: the router was reloaded with other models meanwhile.
        """
        state = self._router.state
        given = _Labelled.read(queries, labels, domains, state)
        asked = given.without_utterances(state)
        if left := len(given.queries) - len(asked.queries):
            log.warning("%d of %d queries are utterances of routes and are left out", left, len(given.queries))
        known = labelled(state, *asked)
        everyday = everyday_nearest(state, domains is not None) if lacking([each.label for each in known]) else []
        learned = fit_outcomes([*examples(known, everyday)], len(state.served.routes), state.served.default_threshold)
        with_query = {each.label for each in known}
        fitted = Fitted(
            thresholds={
                route.name: value
                for row, (route, value) in enumerate(zip(state.given, learned.thresholds.tolist(), strict=True))
                if route.threshold is None or row in with_query
            },
            weights=learned.weights,
            made_for=state.made_for(),
        )
        self.apply(fitted)
        return fitted

    def apply(self, fitted: Fitted) -> None:
        """Let the router use what was fitted earlier.

        Raises:
            FittedError: they were fitted for other model versions or settings, with which scores are different.
        """
        self._router.change(lambda state: state.with_fitted(fitted))

    def evaluate(self, queries: Iterable[str], labels: Iterable[str | None]) -> RouteEvaluation:
        """Route labelled queries and compare.

        Queries that are utterances themselves, in any normal form, are left out and counted, unless there are no
        others: they would be compared with their own text.

        Args:
            queries: at least one.
            labels: name of the right route for each query, or None for no route.

        Raises:
            QueryError: there are no queries, one is not text, or a label is not a route.
        """
        state = self._router.state
        given = _Labelled.read(queries, labels, None, state)
        asked = given.without_utterances(state)
        decisions = [decision for part in asked.blocks() for decision in self._router.route_many(*part)]
        default = state.served.default_threshold
        thresholds = {each.name: default if each.threshold is None else each.threshold for each in state.served.routes}
        return evaluate_routes(decisions, asked.labels, len(given.queries) - len(asked.queries), thresholds)


class _Labelled(NamedTuple):
    """Queries with their labels and, where they are known, their domains."""

    queries: list[str]
    labels: list[str | None]
    domains: list[str] | None

    @classmethod
    def read(
        cls,
        queries: Iterable[str],
        labels: Iterable[str | None],
        domains: Iterable[str] | None,
        state: ServingState,
    ) -> _Labelled:
        """What a caller has, each read once and checked."""
        given, names = read_texts(queries, "queries"), read_optional_texts(labels, "labels", "no route")
        if not given or len(given) != len(names):
            raise QueryError(
                f"expected one label for every query, and at least one: {len(given)} queries, {len(names)} labels"
            )
        routes = {route.name for route in state.served.routes}
        for number, name in enumerate(names):
            if name is not None and name not in routes:
                raise QueryError(f"unknown route {name!r} as a label: `labels[{number}]`")
        known = None if domains is None else read_texts(domains, "domains")
        if known is not None and len(known) != len(given):
            raise QueryError(f"expected a domain for every query: {len(given)} queries, {len(known)} domains")
        return cls(given, names, known)

    def without_utterances(self, state: ServingState) -> _Labelled:
        """Without queries that are utterances, unless there are no others."""
        utterances = {text_key(text) for route in state.served.routes for text in route.utterances}
        kept = [row for row, query in enumerate(self.queries) if text_key(query) not in utterances]
        if len(kept) in (0, len(self.queries)):
            return self
        domains = None if self.domains is None else [self.domains[row] for row in kept]
        return _Labelled([self.queries[row] for row in kept], [self.labels[row] for row in kept], domains)

    def positions(self, state: ServingState) -> NDArray[np.int64]:
        """The position of each query's route among all routes, ``(n,)``; -1 for none."""
        found: dict[str | None, int] = {route.name: number for number, route in enumerate(state.served.routes)}
        return np.array([found.get(label, -1) for label in self.labels], dtype=np.int64)

    def blocks(self) -> Iterator[tuple[Sequence[str], Sequence[str] | None]]:
        """Queries and domains, some at a time."""
        starts = range(0, len(self.queries), BLOCK)
        for start in track(starts, "routing queries", shown=len(starts) > 1):
            block = slice(start, start + BLOCK)
            yield self.queries[block], None if self.domains is None else self.domains[block]


def labelled(
    state: ServingState, queries: Sequence[str], labels: Sequence[str | None], domains: Sequence[str] | None = None
) -> list[Labelled]:
    """Labelled queries as fitting wants them.

    Args:
        state: what to score with.
        queries: any number.
        labels: name of the right route for each query, or None for no route.
        domains: of each query, where they are known.
    """
    given = _Labelled([*queries], [*labels], None if domains is None else [*domains])
    scored = [found for part in given.blocks() for found in score(state, *part)]
    _warn_of_unread(scored)
    return [
        Labelled(found.nearest_route(), found.without([label]).nearest_route(), label)
        for found, label in zip(scored, given.positions(state).tolist(), strict=True)
    ]


def everyday_nearest(state: ServingState, known: bool = False) -> list[Nearest | None]:
    """The nearest route of each of a sample of everyday queries that are no utterances.

    Args:
        state: what to score with.
        known: whether their domain is given.
    """
    utterances = {text_key(text) for route in state.served.routes for text in route.utterances}
    queries = [query for query in everyday_queries() if text_key(query) not in utterances]
    sample = np.random.default_rng(0).permutation(len(queries))[:EVERYDAY].tolist()
    asked = _Labelled(
        [queries[row] for row in sample], [None] * len(sample), [GENERAL] * len(sample) if known else None
    )
    return [found.nearest_route() for part in asked.blocks() for found in score(state, *part)]


def _warn_of_unread(scored: Sequence[Scored]) -> None:
    """Queries that cannot be read get no route, whatever the thresholds."""
    unread = [repr(found.text.query) for found in scored if found.unread > MOST_UNREAD or found.choice.unreadable]
    if unread:
        shown = ", ".join(unread[:SHOWN]) + (", ..." if len(unread) > SHOWN else "")
        log.warning("%d of %d labelled queries cannot be read by the model: %s", len(unread), len(scored), shown)
