"""Both stages for a batch of queries: the scores of routes, from which a decision is made."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from registry import GENERAL
from registry.texts.bm25 import highest
from registry.texts.fusion import DEPTH
from router_plugin.batches import read_texts
from router_plugin.contracts import MOST_UNREAD
from router_plugin.conversations import continues
from router_plugin.cosines import Floats, reaches, rounded
from router_plugin.encoders.embedding import Encoded
from router_plugin.evaluation.outcomes import Nearest, Outcome, outcome
from router_plugin.hybrid import preferences
from router_plugin.serving.candidates import Queries
from router_plugin.serving.domain_routes import DomainRoutes
from router_plugin.serving.index.stored_candidates import StoredCandidates
from router_plugin.serving.state import ServingState
from router_plugin.serving.strategies import DomainChoice, choose_domains, known_domains
from router_plugin.serving.texts import QueryText, as_routed
from router_plugin.serving.timings import Clock

EMPTY = "the query is empty"
UNREADABLE = "the model cannot read the query"
BELOW = "no route is near enough"
NO_ROUTES = "the domain has no routes"
NOTHING_READABLE = "the model cannot read any utterance of the domain's routes"

UNLIKELY = 0.05
"""By how much the score of a route is lowered for each factor e by which its domain is less probable than the best."""
_IMPROBABLE = 1e-3
"""Less probable domains count as having this probability."""

Asked = tuple[int, str]
"""The number of a text in its batch, and a domain whose encoder sees it."""


@dataclass(frozen=True)
class Match:
    """The scores of one text in the space of one domain.

    Attributes:
        domain: whose encoder embedded the text.
        weight: how much of them counts.
        positions: of the compared routes of the domain among all routes, ``(r,)``, rising.
        scores: of these routes, ``(r,)``.
    """

    domain: str
    weight: float
    positions: NDArray[np.int64]
    scores: Floats


class Verdict(NamedTuple):
    """What is decided about a query.

    Attributes:
        route: name of the route; None where there is none.
        score: of the route, else the best score; None where nothing was compared.
        confidence: probability that this is right.
        reason: why there is no route; None where there is one.
    """

    route: str | None
    score: float | None
    confidence: float
    reason: str | None


@dataclass(frozen=True)
class Scored:
    """What a decision about a query is made from.

    Attributes:
        text: the query.
        state: what it was scored with.
        choice: of domains.
        truncated: whether the text is longer than an encoder reads.
        unread: the fraction of the text that none of the encoders knows; 0 where none saw it.
        timings: milliseconds of each stage.
        positions: of the compared routes among all routes, ``(r,)``.
        scores: of these routes, ``(r,)``.
        words: their BM25 scores, ``(r,)``, if the domain is hybrid.
        read_as: the query with earlier questions of its conversation, if it was read so.
    """

    text: QueryText
    state: ServingState
    choice: DomainChoice
    truncated: bool
    unread: float
    timings: dict[str, float]
    positions: NDArray[np.int64]
    scores: Floats
    words: Floats | None = None
    read_as: str | None = None

    @cached_property
    def beliefs(self) -> tuple[Floats, Floats]:
        """See :meth:`ServingState.beliefs`."""
        return self.state.beliefs(self.choice)

    @cached_property
    def preferences(self) -> Floats:
        """What the routes are ordered by, ``(r,)``: their scores, or in a hybrid domain scores and words together."""
        return self.scores if self.words is None else preferences(self.scores, self.words)

    def by_route(self) -> dict[str, float]:
        """The scores by the names of routes."""
        return dict(self._named(self.positions, self.scores))

    def nearest(self, limit: int) -> list[tuple[str, float]]:
        """The nearest routes, at most ``limit``, and their scores, the nearest first; hybrid, those preferred most."""
        order = np.argsort(-self.preferences, kind="stable")[:limit]
        return self._named(self.positions[order], self.scores[order])

    def verdict(self) -> Verdict:
        """The nearest route that reaches its minimum score, if one does; in a hybrid domain the one preferred most.

        Where nothing was compared, it is as probable that there is no route as the chosen domain is.
        """
        if not len(self.positions):
            return Verdict(None, None, self.choice.probability if self.text.text else 1.0, self._why_nothing())
        enough = reaches(self.scores, self.minimums())
        if not enough.any():
            return Verdict(None, float(self.scores.max()), self.outcome().none, BELOW)
        best = int(np.where(enough, self.preferences, -np.inf).argmax())
        name = self.state.served.routes[self.positions[best]].name
        return Verdict(name, float(self.scores[best]), self.outcome(best).right, None)

    def without(self, positions: Collection[int]) -> Scored:
        """The same without some routes."""
        kept = ~np.isin(self.positions, list(positions))
        words = None if self.words is None else self.words[kept]
        return replace(self, positions=self.positions[kept], scores=self.scores[kept], words=words)

    def minimums(self) -> Floats:
        """The minimum score of each compared route: its threshold, raised by the doubt about its domain, ``(r,)``.

        It is at most 1, the score of an utterance that is the query itself.
        """
        served = self.state.served
        own, kinds = served.thresholds[self.positions], served.kinds[self.positions]
        doubts = np.asarray(self.state.fitted.weights.doubt(*self.beliefs))
        found: Floats = np.minimum(np.where(np.isnan(own), self.state.threshold, own) + doubts[kinds], 1)
        return found

    def outcome(self, row: int | None = None) -> Outcome:
        """What may come of one of the compared routes, by default the one that comes first."""
        nearest = self.nearest_route(row)
        assert nearest is not None
        fitted, name = self.state.fitted, self.state.served.routes[nearest.route].name
        return outcome(fitted.weights, nearest, fitted.thresholds.get(name, self.state.served.default_threshold))

    def nearest_route(self, row: int | None = None) -> Nearest | None:
        """What an outcome depends on, for one of the compared routes, by default the first; None without routes."""
        if not len(self.positions):
            return None
        row = int(self.preferences.argmax()) if row is None else row
        position, others = int(self.positions[row]), np.delete(self.scores, row)
        kind = self.state.served.kinds[position]
        domain, general = (float(of_kinds[kind]) for of_kinds in self.beliefs)
        return Nearest(position, float(self.scores[row]), float(others.max(initial=-1)), domain, general)

    def _why_nothing(self) -> str:
        """Why no route was compared with the query."""
        if not self.text.text:
            return EMPTY
        if self.unread > MOST_UNREAD or self.choice.unreadable:
            return UNREADABLE
        return NOTHING_READABLE if any(map(self.state.routes_of, self.choice.weights)) else NO_ROUTES

    def _named(self, positions: NDArray[np.int64], scores: Floats) -> list[tuple[str, float]]:
        routes = self.state.served.routes
        names = (routes[position].name for position in positions.tolist())
        return list(zip(names, scores.tolist(), strict=True))


def chosen_reading(alone: Scored, in_context: Scored) -> Scored:
    """The reading that decides a follow-up.

    One that says that it goes on is read in context, unless its own words come nearer to a route. Another one is read
    in context if its own words reach no route.

    Args:
        alone: the query.
        in_context: the query behind the question that it follows.
    """
    if continues(alone.text.text):
        stands_alone = float(alone.scores.max(initial=-1)) >= float(in_context.scores.max(initial=-1))
    else:
        stands_alone = alone.verdict().route is not None or in_context.verdict().route is None
    timings = {stage: spent + in_context.timings[stage] for stage, spent in alone.timings.items()}
    if stands_alone:
        return replace(alone, timings=timings)
    text = replace(in_context.text, query=alone.text.query)
    return replace(in_context, text=text, timings=timings, read_as=in_context.text.query)


def score(
    state: ServingState, queries: Iterable[str], domains: Iterable[str] | None = None, to_decide: bool = False
) -> list[Scored]:
    """Both stages for a batch of queries; an empty one is not encoded.

    Args:
        state: what to score with.
        queries: any number.
        domains: of each query, where the caller knows it: the classifier is not asked then.
        to_decide: whether only the decisions are wanted: of many routes, those that do not matter are left out.

    Raises:
        QueryError: a query is not text; or see :func:`router_plugin.serving.strategies.known_domains`.
        PluginError: a plugin failed.
    """
    given = read_texts(queries, "queries")
    read = as_routed(given, state.settings.max_query_characters, state.domains.plugins)
    texts, clock = [query.text for query in read], Clock(len(read), state.domains.seconds_loading)
    if domains is None:
        choices = [
            _by_same_text(choice, text, state)
            for choice, text in zip(choose_domains(texts, state.served, state.settings), texts, strict=True)
        ]
    else:
        choices = known_domains(domains, len(texts), state.domains, state.settings)
    asked = [
        (row, name) for row, text in enumerate(texts) if text for name in choices[row].weights if state.routes_of(name)
    ]
    clock.end_of("classify")
    state.load_candidates(dict.fromkeys(name for _, name in asked))
    looked_up = [state.words_for(choice) if text else None for choice, text in zip(choices, texts, strict=True)]
    for routes in filter(None, dict.fromkeys(looked_up)):
        routes.load_words()
    clock.end_of("load")
    encoded = _encode(state, texts, choices, asked)
    clock.end_of("encode")
    truncated = {row for (row, _), cut in zip(asked, encoded.truncated, strict=True) if cut}
    unread: dict[int, float] = {}
    for (row, _), part in zip(asked, encoded.unread, strict=True):
        unread[row] = min(part, unread.get(row, 1.0))
    matches = _match(state, texts, choices, asked, encoded, to_decide)
    if state.domains.index is not None:
        numbers = {each: number for number, each in enumerate(asked)}
        matches = [
            [_completed(match, wanted, numbers[row, match.domain], text, encoded, state) for match in of_text]
            for row, (of_text, text, routes) in enumerate(zip(matches, texts, looked_up, strict=True))
            for wanted in [_mattering(of_text, text, routes)]
        ]
    if state.settings.strategy == "adaptive":
        found = [fuse(each, choice, state) for each, choice in zip(matches, choices, strict=True)]
    else:
        found = [combine(each, len(state.served.routes)) for each in matches]
    words = [
        routes.word_scores(text, positions) if routes else None
        for routes, text, (positions, _) in zip(looked_up, texts, found, strict=True)
    ]
    clock.end_of("match")
    timings = clock.timings()
    return [
        Scored(query, state, choices[row], row in truncated, unread.get(row, 0.0), timings, *found[row], words[row])
        for row, query in enumerate(read)
    ]


def _by_same_text(choice: DomainChoice, text: str, state: ServingState) -> DomainChoice:
    """The choice; for a text that the classifier cannot read, the domain of a route with the very same utterance."""
    name = state.served.domain_with(text) if choice.unreadable else None
    return choice if name is None else replace(choice, weights={name: 1.0})


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
    state: ServingState,
    texts: Sequence[str],
    choices: Sequence[DomainChoice],
    asked: Sequence[Asked],
    encoded: Encoded,
    to_decide: bool,
) -> list[list[Match]]:
    """The scores of each text in the space of each domain that sees it."""
    matches: list[list[Match]] = [[] for _ in choices]
    numbers: dict[str, list[int]] = defaultdict(list)
    for number, (_, name) in enumerate(asked):
        numbers[name].append(number)
    for name, members in numbers.items():
        routes = state.routes_of(name)
        queries = Queries(
            np.stack([encoded.vectors[number] for number in members]),
            [texts[asked[number][0]] for number in members],
            [encoded.unread[number] for number in members],
            [encoded.keys[number] for number in members],
        )
        row = asked[members[0]][0]
        alone = to_decide and len(members) == 1 and _is_alone(name, choices[row], state)
        if alone and (found := routes.candidates.deciding(queries)) is not None:
            matches[row].append(Match(name, 1.0, routes.positions[found[0]], found[1]))
            continue
        scores = routes.candidates.scores(queries, state.settings.aggregation, state.settings.top_k)
        for number, of_text in zip(members, scores, strict=True):
            row, missing = asked[number][0], np.isnan(of_text)
            positions = routes.positions
            if missing.any():
                positions, of_text = positions[~missing], of_text[~missing]
            matches[row].append(Match(name, choices[row].weights[name], positions, of_text))
    return matches


def _mattering(matches: Sequence[Match], text: str, words_of: DomainRoutes | None) -> NDArray[np.int64]:
    """The positions of routes that matter to a text in every space: near in one, or among the first by words."""
    near = [match.positions for match in matches] if len(matches) > 1 else []
    if words_of:
        near.append(words_of.positions[highest(words_of.word_scores(text, words_of.positions), DEPTH)])
    return np.unique(np.concatenate(near)) if near else np.empty(0, dtype=np.int64)


def _completed(
    match: Match, wanted: NDArray[np.int64], number: int, text: str, encoded: Encoded, state: ServingState
) -> Match:
    """A match of candidates in an index with the scores of more routes, though they are not among the nearest.

    Args:
        match: of the text.
        wanted: positions of routes among all routes.
        number: of the text as the domain's encoder sees it.
        text: compared.
        encoded: by each encoder.
        state: whose routes are compared.
    """
    routes = state.routes_of(match.domain)
    more = np.setdiff1d(np.intersect1d(wanted, routes.positions), match.positions)
    candidates = routes.candidates if len(more) and encoded.unread[number] <= MOST_UNREAD else None
    if not isinstance(candidates, StoredCandidates):
        return match
    query = Queries(encoded.vectors[number][None], [text], [encoded.unread[number]], [encoded.keys[number]])
    among = np.searchsorted(routes.positions, more)
    scores = candidates.scores_of(query, among, state.settings.aggregation, state.settings.top_k)
    known = ~np.isnan(scores)
    positions = np.concatenate([match.positions, more[known]])
    order = np.argsort(positions)
    return replace(match, positions=positions[order], scores=np.concatenate([match.scores, scores[known]])[order])


def _is_alone(domain: str, choice: DomainChoice, state: ServingState) -> bool:
    """Whether nothing counts but the cosines of a text in the space of this domain."""
    settings = state.settings
    highest = settings.aggregation == "max" or (settings.aggregation == "top-k" and settings.top_k == 1)
    lowered = settings.strategy == "adaptive" and domain == GENERAL
    words = state.domains.is_hybrid(domain)
    return highest and not lowered and not words and choice.weights == {domain: 1.0}


def combine(matches: Sequence[Match], routes: int) -> tuple[NDArray[np.int64], Floats]:
    """The positions of all routes that a match has, and for each the best of its weighted scores.

    Args:
        matches: of one text.
        routes: how many routes there are in all.
    """
    if len(matches) == 1 and matches[0].weight == 1:
        return matches[0].positions, matches[0].scores
    best = np.full(routes, -np.inf)
    for match in matches:
        best[match.positions] = np.maximum(best[match.positions], match.weight * match.scores)
    positions = np.flatnonzero(best > -np.inf)
    return positions, rounded(best[positions])


def fuse(matches: Sequence[Match], choice: DomainChoice, state: ServingState) -> tuple[NDArray[np.int64], Floats]:
    """The positions of all routes that a match has, and for each the mean of its scores, lowered for unlikely domains.

    A route of which an utterance is the very same text keeps its score of 1.

    Args:
        matches: of one text.
        choice: of domains for the text.
        state: whose routes were compared.
    """
    if len(matches) == 1 and choice.domain != GENERAL:
        return matches[0].positions, matches[0].scores
    sums, counts = np.zeros((2, len(state.served.routes)))
    for match in matches:
        sums[match.positions] += match.scores
        counts[match.positions] += 1
    positions = np.flatnonzero(counts)
    served, names = state.served, state.domains.names
    probabilities = np.array([[choice.probabilities.get(name, 0.0) for name in names]])
    of_kinds = unlikeliness(probabilities, served.belongs)[0]
    return positions, rounded(lowered_means(sums[positions] / counts[positions], of_kinds[served.kinds[positions]]))


def unlikeliness(probabilities: Floats, belongs: NDArray[np.bool_]) -> Floats:
    """How much the scores of ``n`` texts with routes of ``k`` kinds are lowered, ``(n, k)``; 0 for the likeliest.

    Args:
        probabilities: of every domain for each text, ``(n, d)``.
        belongs: whether the routes of a kind belong to a domain, ``(k, d)``.
    """
    probable = probabilities + _IMPROBABLE
    of_kinds = (belongs[None] * probable[:, None]).max(axis=2, initial=0.0)
    found: Floats = -UNLIKELY * np.log(of_kinds / probable.max(axis=1, keepdims=True))
    return found


def lowered_means(means: Floats, unlikely: Floats) -> Floats:
    """Mean scores, lowered by what :func:`unlikeliness` says of their routes; a score of 1 stays."""
    return np.where(means == 1, 1.0, means - unlikely)
