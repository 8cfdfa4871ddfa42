"""Fits a router to labelled queries, and measures how well it routes them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from registry.texts.forms import text_key
from router_plugin.errors import QueryError
from router_plugin.evaluation.fitted import Fitted
from router_plugin.evaluation.routes import RouteEvaluation, evaluate_routes
from router_plugin.router import DomainRouter
from router_plugin.serving.scores import score
from router_plugin.serving.state import ServingState
from router_plugin.tuning.fitting import fit_confidence, fit_thresholds, nearest_routes

log = logging.getLogger(__name__)

BLOCK = 256
"""Queries that are routed at a time."""


class Tuner:
    """Fits the thresholds of a router's routes and the confidence of its decisions, and evaluates it.

    The router may answer queries meanwhile; each is decided by what was fitted before or after, never by a mixture.
    """

    def __init__(self, router: DomainRouter) -> None:
        """
        Args:
            router: which is changed by :meth:`fit` and :meth:`apply`.
        """
        self._router = router

    def fit(self, queries: Sequence[str], labels: Sequence[str | None], domains: Sequence[str] | None = None) -> Fitted:
        """Fit thresholds and confidence to labelled queries, and apply them.

        Queries that are utterances themselves are left out, see :meth:`evaluate`: their scores of 1 tell nothing about
        others.

        Args:
            queries: at least one.
            labels: name of the right route for each query, or None for no route.
            domains: see :meth:`router_plugin.DomainRouter.route_many`.

        Returns:
            What was fitted; :meth:`apply` gives it to another router of the same models and settings.

        Raises:
            QueryError: there are no queries, or a label is not a route.
            FittedError: the router was reloaded with other models meanwhile.
        """
        state = self._router.state
        _label_positions(queries, labels, state)
        given = len(queries)
        queries, labels, domains = _without_utterances(queries, labels, domains, state)
        if len(queries) < given:
            log.warning("%d of %d queries are utterances of routes and are left out", given - len(queries), given)
        rows = _label_positions(queries, labels, state)
        scored = [found for part in _blocks(queries, domains) for found in score(state, *part)]
        nearest = nearest_routes([(found.positions, found.scores, found.choice.probability) for found in scored])
        routes, thresholds = state.served.routes, state.served.thresholds
        start = np.where(np.isnan(thresholds), state.settings.threshold, thresholds)
        fitted_thresholds = fit_thresholds(nearest, rows, start)
        fitted = Fitted(
            thresholds={routes[row].name: float(fitted_thresholds[row]) for row in np.unique(rows[rows >= 0]).tolist()},
            confidence=fit_confidence(nearest, rows),
            made_for=state.made_for(),
        )
        self.apply(fitted)
        return fitted

    def apply(self, fitted: Fitted) -> None:
        """Let the router use thresholds and confidence that were fitted earlier.

        Raises:
            FittedError: they were fitted for other model versions or settings, with which scores are different.
        """
        self._router.change(lambda state: state.with_fitted(fitted))

    def evaluate(self, queries: Sequence[str], labels: Sequence[str | None]) -> RouteEvaluation:
        """Route labelled queries and compare.

        Queries that are utterances themselves, in any normal form, are left out and counted, unless there are no
        others: they would be compared with their own text.

        Args:
            queries: at least one.
            labels: name of the right route for each query, or None for no route.

        Raises:
            QueryError: there are no queries, or a label is not a route.
        """
        _label_positions(queries, labels, self._router.state)
        asked, wanted, _ = _without_utterances(queries, labels, None, self._router.state)
        decisions = [decision for part in _blocks(asked, None) for decision in self._router.route_many(*part)]
        return evaluate_routes(decisions, wanted, len(queries) - len(asked))


def _blocks(
    queries: Sequence[str], domains: Sequence[str] | None
) -> Iterator[tuple[Sequence[str], Sequence[str] | None]]:
    for start in range(0, len(queries), BLOCK):
        block = slice(start, start + BLOCK)
        yield queries[block], None if domains is None else domains[block]


def _without_utterances(
    queries: Sequence[str], labels: Sequence[str | None], domains: Sequence[str] | None, state: ServingState
) -> tuple[Sequence[str], Sequence[str | None], Sequence[str] | None]:
    """Queries, labels and domains without queries that are utterances, unless there are no others."""
    utterances = {text_key(text) for route in state.served.routes for text in route.utterances}
    kept = [row for row, query in enumerate(queries) if not (isinstance(query, str) and text_key(query) in utterances)]
    if len(kept) in (0, len(queries)):
        return queries, labels, domains
    return (
        [queries[row] for row in kept],
        [labels[row] for row in kept],
        None if domains is None else [domains[row] for row in kept],
    )


def _label_positions(queries: Sequence[str], labels: Sequence[str | None], state: ServingState) -> NDArray[np.int64]:
    """The position of each query's route among all routes, ``(n,)``; -1 for none."""
    if not len(queries) or len(queries) != len(labels):  # both may be numpy arrays
        raise QueryError(
            f"expected one label for every query, and at least one: {len(queries)} queries, {len(labels)} labels"
        )
    positions: dict[str | None, int] = {route.name: number for number, route in enumerate(state.served.routes)}
    if unknown := next((label for label in labels if label not in positions and label is not None), None):
        raise QueryError(f"unknown route {unknown!r} as a label")
    return np.array([positions.get(label, -1) for label in labels], dtype=np.int64)
