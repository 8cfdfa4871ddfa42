"""Both stages for a batch of queries: the scores of routes, from which a decision is made."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from registry import GENERAL
from router_plugin.encoders.embedding import Encoded
from router_plugin.evaluation.fitted import confidence
from router_plugin.serving.state import ServingState
from router_plugin.serving.strategies import DomainChoice, choose_domains, known_domains
from router_plugin.serving.texts import QueryText, read_queries
from router_plugin.serving.timings import Clock

BELOW = "no route is near enough"
NO_ROUTES = "the domain has no routes"

Asked = tuple[int, str]
"""The number of a text in its batch, and a domain whose encoder sees it."""


@dataclass(frozen=True)
class Match:
    """The scores of one text in the space of one domain.

    Attributes:
        weight: how much of them counts.
        positions: of the domain's routes among all routes, ``(r,)``.
        scores: of these routes, ``(r,)``.
    """

    weight: float
    positions: NDArray[np.int64]
    scores: NDArray[np.float32]


@dataclass(frozen=True)
class Scored:
    """What a decision about a query is made from.

    Attributes:
        text: the query.
        state: what it was scored with.
        choice: of domains.
        truncated: whether an encoder could not read all of the text.
        timings: milliseconds of each stage.
        positions: of the compared routes among all routes, ``(r,)``.
        scores: of these routes, ``(r,)``.
    """

    text: QueryText
    state: ServingState
    choice: DomainChoice
    truncated: bool
    timings: dict[str, float]
    positions: NDArray[np.int64]
    scores: NDArray[np.float32]

    def confidence(self, route: str | None) -> float | None:
        """Probability that the route is right, or without one, that no route is; None if the router was not fitted."""
        weights = self.state.fitted.confidence
        if not weights or not len(self.positions):
            return None
        names = [name for name, _ in self._named()]
        best = names.index(route) if route else int(self.scores.argmax())
        others = np.delete(self.scores, best)
        right = confidence(weights, float(self.scores[best]), float(others.max(initial=-1)), self.choice.probability)
        return right if route else 1 - right

    def by_route(self) -> dict[str, float]:
        """The scores by the names of routes."""
        return dict(self._named())

    def nearest(self, limit: int) -> list[tuple[str, float]]:
        """The nearest routes, at most ``limit``, and their scores, the nearest first."""
        named = self._named()
        return [named[row] for row in np.argsort(-self.scores, kind="stable")[:limit].tolist()]

    def best(self) -> tuple[str | None, float | None, str | None]:
        """The nearest route that reaches its threshold and its score; else None, the best score, and why no route."""
        if not len(self.positions):
            return None, None, NO_ROUTES
        thresholds = self.state.served.thresholds[self.positions]
        enough = self.scores >= np.where(np.isnan(thresholds), self.state.settings.threshold, thresholds)
        if not enough.any():
            return None, float(self.scores.max()), BELOW
        best = int(np.where(enough, self.scores, -np.inf).argmax())
        return self.state.served.routes[self.positions[best]].name, float(self.scores[best]), None

    def _named(self) -> list[tuple[str, float]]:
        routes = self.state.served.routes
        names = (routes[position].name for position in self.positions.tolist())
        return list(zip(names, self.scores.tolist(), strict=True))


def score(state: ServingState, queries: Sequence[str], domains: Sequence[str] | None = None) -> list[Scored]:
    """Both stages for a batch of queries; an empty one is not encoded.

    Args:
        state: what to score with.
        queries: any number.
        domains: of each query, where the caller knows it: the classifier is not asked then.

    Raises:
        QueryError: a query is not text; or see :func:`router_plugin.serving.strategies.known_domains`.
        PluginError: a plugin failed.
    """
    read = read_queries(queries, state.settings.max_query_characters, state.domains.plugins)
    texts, clock = [query.text for query in read], Clock(len(read))
    with clock.stage("classify"):
        if domains is None:
            choices = choose_domains(texts, state.domains, state.settings)
        else:
            choices = known_domains(domains, len(texts), state.domains, state.settings)
    asked = [
        (row, name) for row, text in enumerate(texts) if text for name in choices[row].weights if state.routes_of(name)
    ]
    with clock.stage("load"):
        state.load_candidates(dict.fromkeys(name for _, name in asked))
    with clock.stage("encode"):
        encoded = _encode(state, texts, choices, asked)
    clock.move(encoded.loading, "encode", "load")
    truncated = {row for (row, _), cut in zip(asked, encoded.truncated, strict=True) if cut}
    with clock.stage("match"):
        matches = _match(state, choices, asked, encoded)
        found = [combine(each, len(state.served.routes)) for each in matches]
    timings = clock.timings()
    return [
        Scored(query, state, choices[row], row in truncated, timings, *found[row]) for row, query in enumerate(read)
    ]


def _encode(
    state: ServingState, texts: Sequence[str], choices: Sequence[DomainChoice], asked: Sequence[Asked]
) -> Encoded:
    """Each text by each domain that sees it; the classifier may have embedded it already."""
    known = {}
    for number, (row, name) in enumerate(asked):
        embedding = choices[row].embedding
        if embedding is not None and state.domains.encoded_by[name] == GENERAL:
            known[number] = embedding
    return state.domains.encode([(name, texts[row]) for row, name in asked], known)


def _match(
    state: ServingState, choices: Sequence[DomainChoice], asked: Sequence[Asked], encoded: Encoded
) -> list[list[Match]]:
    """The scores of each text in the space of each domain that sees it."""
    matches: list[list[Match]] = [[] for _ in choices]
    numbers: dict[str, list[int]] = defaultdict(list)
    for number, (_, name) in enumerate(asked):
        numbers[name].append(number)
    for name, members in numbers.items():
        routes = state.routes_of(name)
        vectors = np.stack([encoded.vectors[number] for number in members])
        scores = routes.candidates.scores(vectors, state.settings.aggregation, state.settings.top_k)
        for number, of_text in zip(members, scores, strict=True):
            row = asked[number][0]
            matches[row].append(Match(choices[row].weights[name], routes.positions, of_text))
    return matches


def combine(matches: Sequence[Match], routes: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The positions of all routes that a match has, and for each the best of its weighted scores.

    Args:
        matches: of one text.
        routes: how many routes there are in all.
    """
    if len(matches) == 1:
        return matches[0].positions, matches[0].scores * np.float32(matches[0].weight)
    best = np.full(routes, -np.inf, dtype=np.float32)
    for match in matches:
        best[match.positions] = np.maximum(best[match.positions], np.float32(match.weight) * match.scores)
    positions = np.flatnonzero(best > -np.inf)
    return positions, best[positions]
