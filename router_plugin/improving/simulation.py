"""Scores of logged queries as they are, and as they would be if some of the queries were utterances.

Every text is embedded once for each encoder that has to see it. That the domain classifier would also know new
utterances is not simulated: it stays as it is. In hybrid domains, routes are taken by their scores alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from registry.progress import track
from router_plugin.contracts import MOST_UNREAD
from router_plugin.cosines import Floats, reaches, rounded
from router_plugin.evaluation.outcomes import Nearest
from router_plugin.improving.judged import Bools, Ints
from router_plugin.serving.candidates import Matrix
from router_plugin.serving.domains import ServedDomains
from router_plugin.serving.scores import Scored, lowered_means, score, unlikeliness
from router_plugin.serving.state import ServingState

BLOCK = 256
"""Texts that are routed, or embedded, at a time."""


class Spaces:
    """Texts in the spaces of domains."""

    def __init__(self, domains: ServedDomains, texts: Sequence[str]) -> None:
        """
        Args:
            domains: whose encoders embed.
            texts: all that may be embedded.
        """
        self._domains, self._texts = domains, texts
        self._known: dict[str, dict[int, tuple[Matrix, bool]]] = {}

    def vectors(self, domain: str, rows: Sequence[int]) -> tuple[Matrix, Bools]:
        """Unit vectors of at least one text, ``(m, d)``, and which of them the encoder can read, ``(m,)``."""
        known = self._known.setdefault(self._domains.encoded_by[domain], {})
        missing = [row for row in dict.fromkeys(rows) if row not in known]
        for start in range(0, len(missing), BLOCK):
            block = missing[start : start + BLOCK]
            read = self._domains.encode([(domain, self._texts[row]) for row in block], {})
            readable = [part <= MOST_UNREAD for part in read.unread]
            known |= zip(block, zip(read.vectors, readable, strict=True), strict=True)
        found = [known[row] for row in rows]
        return np.stack([vector for vector, _ in found]), np.array([readable for _, readable in found])


class _Part:
    """The queries that a domain's encoder sees.

    Attributes:
        rows: their numbers.
        weights: how much the domain's scores count for each of them.
        routes: the positions of the domain's routes.
    """

    def __init__(self, routes: Sequence[int]) -> None:
        """
        Args:
            routes: the positions of the domain's routes.
        """
        self.rows: list[int] = []
        self.weights: list[float] = []
        self.routes = frozenset(routes)
        self.nearest: dict[int, _Nearest] = {}
        self.read: tuple[Matrix, Bools] | None = None


class Simulation:
    """Queries as a router decides them.

    Attributes:
        state: of the router.
        spaces: the queries in the spaces of domains.
        scores: of every query with every route, ``(n, routes)``; minus infinity where they are not compared.
        domains: that each query goes to.
        thresholds: of the routes, ``(routes,)``.
        minimums: the minimum score of every query with every route today, ``(n, routes)``.
    """

    def __init__(self, state: ServingState, texts: Sequence[str]) -> None:
        """
        Args:
            state: of the router.
            texts: the queries.
        """
        self.state = state
        self.scores: Floats = np.full((len(texts), len(state.served.routes)), -np.inf)
        self.domains: list[str] = []
        self._probabilities: Floats = np.zeros((len(texts), len(state.domains.names)))
        self._beliefs: Floats = np.zeros((2, len(texts), len(state.served.belongs)))
        own = state.served.thresholds
        self.thresholds: Floats = np.where(np.isnan(own), state.threshold, own)
        self._parts: dict[str, _Part] = {}
        routed: list[str] = []
        self.spaces = Spaces(state.domains, routed)
        starts = range(0, len(texts), BLOCK)
        for start in track(starts, "routing the log", shown=len(starts) > 1):
            found = score(state, texts[start : start + BLOCK])
            routed += [each.text.text for each in found]
            for row, each in enumerate(found, start):
                self._take(row, each)
            self._embed(range(start, start + len(found)))
        self._utterances: dict[str, dict[str, tuple[Matrix, bool]]] = {}
        self.minimums = self.minimums_with(self.thresholds)

    def minimums_with(self, thresholds: Floats) -> Floats:
        """The minimum scores with other thresholds; see :meth:`router_plugin.serving.scores.Scored.minimums`."""
        doubts = np.asarray(self.state.fitted.weights.doubt(*self._beliefs))
        found: Floats = np.minimum(thresholds + doubts[:, self.state.served.kinds], 1)
        return found

    def nearest(self, row: int, scores: Floats) -> Nearest | None:
        """The nearest route of a query with some scores, ``(routes,)``; None where none is finite."""
        best = int(scores.argmax())
        if not np.isfinite(scores[best]):
            return None
        others, kind = np.delete(scores, best), self.state.served.kinds[best]
        domain, general = self._beliefs[:, row, kind].tolist()
        return Nearest(best, float(scores[best]), max(-1.0, float(others.max(initial=-1))), domain, general)

    def _take(self, row: int, scored: Scored) -> None:
        self.scores[row, scored.positions] = scored.scores
        self._beliefs[:, row] = self.state.beliefs(scored.choice)
        self.domains.append(scored.choice.domain)
        self._probabilities[row] = [scored.choice.probabilities.get(name, 0) for name in self.state.domains.names]
        for name, weight in scored.choice.weights.items() if scored.text.text else ():
            if name not in self._parts:
                self._parts[name] = _Part(self.state.routes_of(name).positions.tolist())
            part = self._parts[name]
            part.rows.append(row)
            part.weights.append(weight)

    def _embed(self, rows: range) -> None:
        """Keep the vectors of queries while the router still has them."""
        for name, part in self._parts.items():
            if own := [row for row in part.rows if row in rows]:
                self.spaces.vectors(name, own)

    def rows_of(self, route: int) -> Ints:
        """The queries that may take a route."""
        rows = [row for part in self._parts.values() if route in part.routes for row in part.rows]
        return np.unique(np.array(rows, dtype=np.int64))

    def columns(self, route: int, chosen: Sequence[int], tried: Sequence[int]) -> Floats:
        """The scores of all queries with a route, ``(n, len(tried))``, if it had further utterances.

        Args:
            route: its position.
            chosen: the queries that are utterances in every column.
            tried: of each column the query that is one more utterance.
        """
        seen = [
            (part, _with_one_more(self._nearest(name, part, route, chosen), self._cosines(name, part, tried)))
            for name, part in self._parts.items()
            if route in part.routes
        ]
        adaptive = self.state.settings.strategy == "adaptive"
        return rounded_scores(self._fused(route, seen, len(tried)) if adaptive else self._highest_of(seen, len(tried)))

    def _highest_of(self, seen: Sequence[tuple[_Part, Floats]], columns: int) -> Floats:
        """The highest weighted score of every query in the spaces that see it; minus infinity without one."""
        found = np.full((len(self.scores), columns), -np.inf)
        for part, scores in seen:
            values = np.array(part.weights)[:, None] * scores
            found[part.rows] = np.maximum(found[part.rows], np.where(np.isnan(values), -np.inf, values))
        return found

    def _fused(self, route: int, seen: Sequence[tuple[_Part, Floats]], columns: int) -> Floats:
        """What the strategy ``adaptive`` makes of scores; see :func:`router_plugin.serving.scores.fuse`."""
        sums, counts = np.zeros((2, len(self.scores), columns))
        for part, scores in seen:
            sums[part.rows] += np.nan_to_num(scores)
            counts[part.rows] += np.isfinite(scores)
        means = np.where(counts > 0, sums / np.maximum(counts, 1), -np.inf)
        belongs = self.state.served.belongs[self.state.served.kinds[[route]]]
        return lowered_means(means, unlikeliness(self._probabilities, belongs))

    def column(self, route: int, chosen: Sequence[int]) -> Floats:
        """The same with the chosen queries alone, ``(n,)``; as it is without any."""
        if not chosen:
            return self.scores[:, route]
        return self.columns(route, chosen[:-1], chosen[-1:])[:, 0]

    def _cosines(self, domain: str, part: _Part, tried: Sequence[int]) -> Matrix:
        """Of the domain's queries with others, minus infinity where the encoder cannot read one of them."""
        vectors, readable = self._read(domain, part)
        others, others_readable = self.spaces.vectors(domain, tried)
        found: Matrix = np.where(readable[:, None] & others_readable, vectors @ others.T, np.float32(-np.inf))
        return found

    def _read(self, domain: str, part: _Part) -> tuple[Matrix, Bools]:
        """The vectors of the domain's queries, and which of them its encoder can read."""
        if part.read is None:
            part.read = self.spaces.vectors(domain, part.rows)
        return part.read

    def _nearest(self, domain: str, part: _Part, route: int, chosen: Sequence[int]) -> _Nearest:
        """The highest cosines of the domain's queries with a route's utterances and chosen ones."""
        if route not in part.nearest:
            vectors, readable = self._read(domain, part)
            utterances = self._readable_utterances(domain, route)
            cosines = np.where(readable[:, None], vectors @ utterances.T, np.float32(-np.inf))
            part.nearest[route] = self._highest(cosines)
        known = part.nearest[route]
        if not chosen:
            return known
        return self._highest(np.concatenate([known.cosines, self._cosines(domain, part, chosen)], axis=1))

    def _highest(self, cosines: Matrix) -> _Nearest:
        settings = self.state.settings
        counted = {"max": 1, "top-k": settings.top_k, "mean": cosines.shape[1] + 1}[settings.aggregation]
        if counted == 1:
            return _Nearest(cosines.max(axis=1, keepdims=True, initial=-np.inf), counted)
        return _Nearest(-np.sort(-cosines, axis=1)[:, :counted], counted)

    def _readable_utterances(self, domain: str, route: int) -> Matrix:
        if domain not in self._utterances:
            embedded = self.state.routes_of(domain).candidates.by_text()
            self._utterances[domain] = {
                text: (each.vector, each.unread <= MOST_UNREAD) for text, each in embedded.items()
            }
        known = self._utterances[domain]
        found = [known[text] for text in self.state.served.routes[route].utterances]
        vectors: Matrix = np.stack([vector for vector, _ in found])[np.array([readable for _, readable in found])]
        return vectors


@dataclass(frozen=True)
class _Nearest:
    """The highest cosines of queries with a route's utterances, ``(n, k)``, and of how many the mean is taken."""

    cosines: Matrix
    counted: int


def _with_one_more(kept: _Nearest, cosines: Matrix) -> Floats:
    """The means of the highest cosines when one is added, ``(n, len(tried))``; NaN where there is none."""
    known = np.isfinite(kept.cosines)
    sums = np.where(known, kept.cosines, 0).sum(axis=1, dtype=np.float64)[:, None]
    count = known.sum(axis=1)[:, None]
    lowest = np.where(known, kept.cosines, np.inf).min(axis=1, initial=np.inf)[:, None]
    there, full = np.isfinite(cosines), count == kept.counted
    with np.errstate(invalid="ignore", divide="ignore"):
        as_it_is = sums / count
        replaced = (sums + np.maximum(cosines - np.where(full, lowest, 0), 0)) / count
        longer = (sums + cosines) / (count + 1)
    found: Floats = np.where(~there, as_it_is, np.where(full, replaced, longer))
    return found


def rounded_scores(scores: Floats) -> Floats:
    """As they leave the router; minus infinity stays."""
    found: Floats = np.where(np.isfinite(scores), rounded(scores), -np.inf)
    return found


def decide(scores: Floats, minimums: Floats) -> Ints:
    """The position of each query's route, -1 for none, ``(n,)``; see :meth:`Scored.verdict`."""
    enough = np.isfinite(scores) & reaches(scores, minimums)
    best: Ints = np.where(enough, scores, -np.inf).argmax(axis=1)
    return np.where(enough.any(axis=1), best, -1)
