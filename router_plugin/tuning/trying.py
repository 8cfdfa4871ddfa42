"""Decides labelled queries by a state of a router, whether or not that serves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from registry.texts.forms import text_key
from router_plugin.decision import Decision
from router_plugin.evaluation.labelled_queries import LabelledQueries
from router_plugin.router import DomainRouter
from router_plugin.serving.scores import score
from router_plugin.serving.state import ServingState
from router_plugin.tuning.tuner import BLOCK


class Tried(NamedTuple):
    """Labelled queries and the decisions about them.

    Attributes:
        queries: those that were decided.
        labels: of each the right route, None for no route.
        decisions: of each.
        given: how many queries there were.
        utterances: how many were left out because they are utterances of routes themselves.
    """

    queries: list[str]
    labels: list[str | None]
    decisions: list[Decision]
    given: int
    utterances: int


def try_out(router: DomainRouter, state: ServingState, labelled: LabelledQueries, limit: int) -> Tried:
    """Decide labelled queries, but for those that are utterances.

    Args:
        router: whose plugins see the decisions.
        state: of that router, or one made from it.
        labelled: the queries.
        limit: the maximum number; of more, a sample that is always the same.
    """
    known = {text_key(text) for route in state.given for text in route.utterances}
    asked = [row for row, query in enumerate(labelled.queries) if text_key(query) not in known]
    left = len(labelled.queries) - len(asked)
    if len(asked) > limit:
        asked = sorted(np.random.default_rng(0).permutation(asked)[:limit].tolist())
    queries, labels = [labelled.queries[row] for row in asked], [labelled.labels[row] for row in asked]
    return Tried(queries, labels, decide_all(router, state, queries), len(labelled.queries), left)


def decide_all(router: DomainRouter, state: ServingState, queries: Sequence[str]) -> list[Decision]:
    """Decisions about any number of queries by a state, some at a time."""
    return [
        router.decide(scored)
        for start in range(0, len(queries), BLOCK)
        for scored in score(state, queries[start : start + BLOCK], to_decide=True)
    ]
