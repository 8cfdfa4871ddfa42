"""Routes that should be split because their queries are of two kinds, and routes that users take for one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from registry import GENERAL
from router_plugin.improving.judged import Judged
from router_plugin.improving.options import ImproveOptions
from router_plugin.improving.simulation import Simulation
from router_plugin.improving.terms import distinguishing_terms
from router_plugin.improving.validation import LEVEL
from router_plugin.serving.candidates import Matrix

MIN_SILHOUETTE = 0.35
"""Mean silhouette of two halves from which they are clearly separate."""
MIN_HALF = 10
"""Queries of each half, at least."""
MIN_SHARE = 0.2
"""Share of a route's queries that each half has, at least."""
MAX_SPLIT = 1000
"""Queries of a route that are looked at."""
MIN_CORRECTED = 3
"""Texts that users corrected from one route to the other, each way, at least."""
MIN_MIXED = 0.1
"""Share of the queries of two routes that users corrected from one to the other, at least."""
MAX_TOLD_APART = 0.75
"""The largest :attr:`Merge.told_apart`, half-way between chance and certainty."""
TERMS = 4
"""Terms of a half that are shown."""
SHOWN = 3
"""Queries of a half that are shown."""


@dataclass(frozen=True)
class Half:
    """Some queries of a route: how many, the terms by which they differ from the others, and the most typical ones."""

    queries: int
    terms: list[str]
    typical: list[str]


@dataclass(frozen=True)
class Split:
    """A route whose queries are of two kinds.

    Attributes:
        route: its name.
        silhouette: mean of its queries' silhouettes, from -1 to 1 (Rousseeuw, 1987).
        halves: both kinds.
    """

    route: str
    silhouette: float
    halves: tuple[Half, Half]


@dataclass(frozen=True)
class Merge:
    """Two routes that users take for one.

    Attributes:
        routes: their names.
        corrected: texts that were corrected from the first to the second, and from the second to the first.
        queries: texts whose right route each of them is.
        p_values: the probability of at least these numbers of corrections, if a correction went to any route as often
            as all corrections do.
        told_apart: how many of their queries are nearest to another query of their own route; the mean of the fractions
            of both routes, so that 0.5 is chance.
    """

    routes: tuple[str, str]
    corrected: tuple[int, int]
    queries: tuple[int, int]
    p_values: tuple[float, float]
    told_apart: float


def find_splits(simulation: Simulation, judged: Judged, options: ImproveOptions) -> list[Split]:
    """Routes whose right queries fall into two clearly separate clusters, the clearest first.

    The queries of a route are divided by 2-means in the space of its domain. The halves are clearly separate if the
    mean silhouette, by cosine distance, is at least :data:`MIN_SILHOUETTE`, each has :data:`MIN_HALF` queries and
    :data:`MIN_SHARE` of all, and each has a term of its own.
    """
    found = (_split(simulation, judged, route, options) for route in range(len(simulation.state.served.routes)))
    return sorted((each for each in found if each), key=lambda each: -each.silhouette)


def find_merges(
    simulation: Simulation, judged: Judged, corrections: Counter[tuple[str, str]], queries: Counter[str]
) -> list[Merge]:
    """Pairs of routes that corrections mix up both ways, more than by chance, the most frequent first.

    If a correction away from a route went to the other routes as often as these are corrected to at all, the number
    that goes to a given one would be binomial. Both ways must be more frequent than that, by one-sided tests at
    :data:`LEVEL` divided by the number of tests (Bonferroni); and the corrections must be :data:`MIN_CORRECTED` texts
    each way and :data:`MIN_MIXED` of the queries of both routes. Where the router mixes up routes that users do not,
    new utterances help: so the nearest queries must not tell the routes apart, see :data:`MAX_TOLD_APART`.

    Args:
        simulation: of the queries.
        judged: the queries.
        corrections: texts by the route that was chosen and the one that is right, both names of routes.
        queries: texts by their right route.
    """
    pairs = [(one, other) for one, other in _pairs(corrections) if corrections[one, other] and corrections[other, one]]
    positions = {route.name: number for number, route in enumerate(simulation.state.served.routes)}
    chance, found = _Chance(corrections), []
    for one, other in pairs:
        corrected = corrections[one, other], corrections[other, one]
        if min(corrected) < MIN_CORRECTED or sum(corrected) < MIN_MIXED * (queries[one] + queries[other]):
            continue
        p_values = chance.p_value(one, other), chance.p_value(other, one)
        if max(p_values) > LEVEL / (2 * len(pairs)):
            continue
        told_apart = _told_apart(simulation, judged, positions[one], positions[other])
        if told_apart <= MAX_TOLD_APART:
            found.append(Merge((one, other), corrected, (queries[one], queries[other]), p_values, round(told_apart, 4)))
    return sorted(found, key=lambda each: -sum(each.corrected))


def _pairs(corrections: Counter[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    return combinations(sorted({name for pair in corrections for name in pair if name}), 2)


class _Chance:
    """How likely corrections are that only follow how often each route is right."""

    def __init__(self, corrections: Counter[tuple[str, str]]) -> None:
        self._corrections = corrections
        self._away, self._to = Counter[str](), Counter[str]()
        for (chosen, right), count in corrections.items():
            self._away[chosen] += count
            self._to[right] += count

    def p_value(self, chosen: str, right: str) -> float:
        """The probability of at least this number of corrections from one route to another."""
        from scipy.stats import binomtest

        share = self._to[right] / (self._to.total() - self._to[chosen])
        count = self._corrections[chosen, right]
        return float(binomtest(count, self._away[chosen], share, alternative="greater").pvalue)


def _told_apart(simulation: Simulation, judged: Judged, one: int, other: int) -> float:
    """See :attr:`Merge.told_apart`; near-duplicates of a query do not count as others. 0.5 where there are none."""
    rows = np.flatnonzero(np.isin(judged.labels, (one, other)))[: 2 * MAX_SPLIT]
    labels, groups = judged.labels[rows], judged.groups[rows]
    vectors, readable = simulation.spaces.vectors(_domain(simulation, one), rows.tolist())
    cosines = np.where((groups[:, None] == groups) | ~readable, -np.inf, vectors @ vectors.T)
    same = labels[cosines.argmax(axis=1)] == labels
    counted = np.isfinite(cosines).any(axis=1) & readable
    parts = [same[counted & (labels == label)] for label in (one, other)]
    return float(np.mean([part.mean() for part in parts])) if all(map(len, parts)) else 0.5


def _domain(simulation: Simulation, position: int) -> str:
    """The domain in whose space the queries of a route are compared."""
    settings = simulation.state.settings
    if settings.strategy == "single":
        return settings.single_domain
    return next(iter(simulation.state.served.routes[position].domains), GENERAL)


def _split(simulation: Simulation, judged: Judged, position: int, options: ImproveOptions) -> Split | None:
    from sklearn.cluster import KMeans
    from sklearn.metrics import silhouette_score

    rows = np.flatnonzero(judged.labels == position)[:MAX_SPLIT]
    if len(rows) < 2 * MIN_HALF:
        return None
    vectors, readable = simulation.spaces.vectors(_domain(simulation, position), rows.tolist())
    rows, vectors = rows[readable], vectors[readable]
    if len(np.unique(vectors, axis=0)) < 2 * MIN_HALF:
        return None
    second = KMeans(n_clusters=2, n_init=10, random_state=options.seed).fit_predict(vectors).astype(bool)
    if min(second.sum(), (~second).sum()) < max(MIN_HALF, MIN_SHARE * len(rows)):
        return None
    silhouette = float(silhouette_score(vectors, second, metric="cosine"))
    texts = [[judged.texts[row] for row in rows[half]] for half in (~second, second)]
    terms = distinguishing_terms(texts, TERMS)
    if silhouette < MIN_SILHOUETTE or not all(terms):
        return None
    one, other = (
        Half(len(half), words, _typical(half, vectors[members]))
        for half, words, members in zip(texts, terms, (~second, second), strict=True)
    )
    return Split(simulation.state.served.routes[position].name, round(silhouette, 4), (one, other))


def _typical(texts: Sequence[str], vectors: Matrix) -> list[str]:
    order = np.argsort(-(vectors @ vectors.mean(axis=0)), kind="stable")
    return [texts[row] for row in order[:SHOWN].tolist()]
