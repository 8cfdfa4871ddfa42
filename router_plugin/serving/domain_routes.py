"""The routes that each domain's queries may take, with their candidates, which are embedded at their first use."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from registry import GENERAL
from registry.shared.texts import clean
from router_plugin.classifier.known.from_routes import queries_of
from router_plugin.contracts import CachingEncoder, Encoder
from router_plugin.cosines import Floats
from router_plugin.errors import CandidateIndexError
from router_plugin.evaluation.outcomes import default_threshold
from router_plugin.hybrid import RouteWords
from router_plugin.plugins.domain_classifiers import ServedClassifier
from router_plugin.routes import Route
from router_plugin.serving.candidate_store import embed_cached
from router_plugin.serving.candidates import Candidates
from router_plugin.serving.domains import ServedDomains
from router_plugin.serving.index.contract import ALL, CandidateIndex, Space
from router_plugin.serving.index.stored_candidates import Shelf, StoredCandidates, texts_by_id
from router_plugin.serving.texts import same_text
from router_plugin.utterances import Reading, Warned, warnings_of

log = logging.getLogger(__name__)

Searched: TypeAlias = Candidates | StoredCandidates
"""Candidates in memory, or in an index."""

READ_AHEAD = 1000
"""Utterances of a domain that are read when they are given, so that faults are reported before the first query."""


class Stored(NamedTuple):
    """What an index has of a domain's candidates.

    Attributes:
        space: that they belong to.
        wanted: different utterances of the routes.
        missing: those of them that it does not have.
    """

    space: Space
    wanted: int
    missing: int


class DomainRoutes:
    """The routes that a domain's queries may take, embedded when the first query comes. Never changed.

    Attributes:
        positions: of these routes among all routes, ``(r,)``.
    """

    def __init__(
        self,
        routes: Sequence[Route],
        positions: Sequence[int],
        domain: str,
        domains: ServedDomains,
        previous: Searched | None,
        warned: Warned,
        listed_as: str | None = None,
    ) -> None:
        """
        Args:
            routes: all routes.
            positions: of the domain's routes among them.
            domain: whose encoder embeds them.
            domains: that are served.
            previous: candidates of the same encoder, whose utterances are not embedded again.
            warned: the faults of utterances that were reported.
            listed_as: the name of these routes in an index; by default the domain's.
        """
        self.positions: NDArray[np.int64] = np.array(positions, dtype=np.int64)
        self._routes = [routes[position] for position in positions]
        self._domain = domain
        self._domains = domains
        self._previous = previous
        self._warned = warned
        self._listed_as = listed_as or domain
        self._lock = threading.Lock()
        self._candidates: Searched | None = None
        self._words: RouteWords | None = None

    def __len__(self) -> int:
        return len(self._routes)

    @property
    def candidates(self) -> Searched:
        """The routes, at least one, embedded by the domain's encoder.

        Raises:
            CandidateIndexError: they are in an index that cannot be read or written.
        """
        with self._lock:
            if self._candidates is None:
                self._candidates = self._embedded()
                self._candidates.prepare()
                self._previous = None
                self._warn(self._candidates.readings().__getitem__)
            return self._candidates

    def load_words(self) -> None:
        """Index the words of the routes, at least one, where that has not been done."""
        with self._lock:
            if self._words is None:
                self._words = RouteWords(self._routes)

    def word_scores(self, text: str, positions: NDArray[np.int64]) -> Floats:
        """How well the words of some routes match a text, ``(r,)``, once the words are loaded.

        Args:
            text: as the encoders read it.
            positions: of these routes among all routes.
        """
        assert self._words is not None
        return self._words.scores(text)[np.searchsorted(self.positions, positions)]

    @property
    def latest(self) -> Searched | None:
        """The candidates if they are embedded, else the previous ones."""
        previous = self._previous  # read first: a query may embed the candidates and release the previous ones
        return self._candidates or previous

    def read_ahead(self) -> None:
        """Warn of utterances that the encoder cannot read or tell apart, if it need not be loaded for that."""
        if not self._routes or sum(len(route.utterances) for route in self._routes) > READ_AHEAD:
            return
        if reader := self._domains.reader(self._domain):
            read = {text: reader.read(clean(text)) for route in self._routes for text in route.utterances}
            self._warn(lambda text: Reading(read[text].unread, read[text].ids))

    def _warn(self, read: Callable[[str], Reading]) -> None:
        for line in warnings_of(self._routes, read, self._domains.version(self._domain), self._warned):
            log.warning("%s", line)

    def embedded_by(
        self, domain: str, previous: Searched | None = None, only: Collection[str] | None = None
    ) -> Candidates:
        """The routes, at least one, embedded by a domain's encoder, in memory.

        Args:
            domain: any that is served.
            previous: see :meth:`Candidates.embedded`.
            only: these utterances, at least one; None for all.
        """
        name = self._domains.encoded_by[domain]
        in_memory = previous if isinstance(previous, Candidates) else None
        routes = self._routes if only is None else _with_utterances(self._routes, only)
        with self._domains.encoder(name) as encoder:
            version = self._domains.artifacts[name]
            return Candidates.embedded(
                routes, lambda texts: embed_cached([clean(text) for text in texts], encoder, version), in_memory
            )

    def _embedded(self) -> Searched:
        """The routes, at least one, embedded by the domain's encoder, in memory or in the index."""
        if self._domains.index is None:
            return self.embedded_by(self._domain, self._previous)
        previous = self._previous if isinstance(self._previous, StoredCandidates) else None
        with self._domains.encoder(self._domain) as encoder:
            return StoredCandidates.filled(self._routes, self._shelf(self._domains.index, encoder), encoder, previous)

    def stored(self, index: CandidateIndex) -> Stored:
        """How many of the utterances are in an index; none is embedded.

        Raises:
            CandidateIndexError: the index cannot be read.
        """
        with self._domains.encoder(self._domain) as encoder:
            shelf = self._shelf(index, encoder)
        wanted = list(texts_by_id(self._routes))
        return Stored(shelf.space, len(wanted), len(wanted) - len(shelf.readings(wanted)))

    def _shelf(self, index: CandidateIndex, encoder: Encoder) -> Shelf:
        """Where the domain's candidates are in an index.

        Raises:
            CandidateIndexError: the encoder does not say what it runs on.
        """
        if not isinstance(encoder, CachingEncoder):
            raise CandidateIndexError(
                f"the encoder of {self._domains.version(self._domain)} does not say what it runs on, so that its "
                "vectors cannot be kept in an index: its plugin must give it a `runtime`"
            )
        space = Space(
            domain=self._listed_as,
            model=self._domains.version(self._domain),
            digest=self._domains.artifacts[self._domains.encoded_by[self._domain]],
            runtime=encoder.runtime,
        )
        return Shelf(index, space, self._domains.settings.index_nearest)


class ServedRoutes:
    """All routes, and each domain's. Never changed.

    Attributes:
        domains: that are served.
        routes: of all domains.
        thresholds: of each, ``(len(routes),)``; NaN for one without.
        default_threshold: what follows from the number of their utterances.
        kinds: a number for each route; those of the same domains share one, ``(len(routes),)``.
        belongs: whether the routes of a kind belong to a domain, ``(kinds, len(domains.names))``; those without a
            domain belong to all.
        by_domain: for each domain, its own routes and those without a domain.
        for_one_encoder: all of them, embedded by one encoder, see :attr:`router_plugin.Settings.compares_all`.
        known_queries: what they say about their domains.
    """

    def __init__(
        self,
        routes: tuple[Route, ...],
        domains: ServedDomains,
        all_by: str,
        previous: Sequence[ServedRoutes] = (),
    ) -> None:
        """
        Args:
            routes: checked.
            domains: that queries may be of.
            all_by: the domain whose encoder compares a query with all routes.
            previous: earlier routes. What the same encoder has embedded of them is not embedded again.
        """
        self.domains = domains
        self.routes = routes
        self.thresholds = np.array([np.nan if each.threshold is None else each.threshold for each in routes])
        self.default_threshold = default_threshold(sum(len(route.utterances) for route in routes))
        kinds = {each: number for number, each in enumerate(dict.fromkeys(route.domains for route in routes))}
        self.kinds = np.array([kinds[route.domains] for route in routes], dtype=np.int64)
        belongs = [not of_kind or name in of_kind for of_kind in kinds for name in domains.names]
        self.belongs = np.array(belongs, dtype=bool).reshape(len(kinds), len(domains.names))
        self.known_queries = queries_of(routes)
        same = (each for each in previous if each.domains is domains and each.known_queries == self.known_queries)
        self._classifier: ServedClassifier | None = next((each._classifier for each in same), None)
        by_name: dict[str | None, list[int]] = defaultdict(list)
        for position, route in enumerate(routes):
            for domain in route.domains or (None,):
                by_name[domain].append(position)
        self._warned: Warned = previous[0]._warned if previous else set()
        self._by_text: dict[str, str] | None = None
        self.by_domain: dict[str, DomainRoutes] = {}
        for name in domains.names:
            known = _first(each._embedded(name, domains) for each in previous)
            positions = sorted(by_name[None] + by_name[name])
            self.by_domain[name] = DomainRoutes(routes, positions, name, domains, known, self._warned)
        by_same = [each for each in previous if each._has_encoder(all_by, domains)]
        known = _first(each.for_one_encoder.latest for each in by_same)
        everything = range(len(routes))
        self.for_one_encoder: DomainRoutes = DomainRoutes(
            routes, everything, all_by, domains, known, self._warned, listed_as=ALL
        )

    @property
    def classifier(self) -> ServedClassifier:
        """Tells the domains apart, and knows what these routes say about them; assembled at its first use.

        Raises:
            PluginError: a plugin failed.
        """
        if self._classifier is None:
            self._classifier = self.domains.classifier_knowing(self.known_queries)
        return self._classifier

    def domain_with(self, text: str) -> str | None:
        """A domain with a route of which this very text is an utterance; None where there is no such route."""
        if self._by_text is None:
            self._by_text = {
                same_text(utterance): next(iter(route.domains), GENERAL)
                for route in reversed(self.routes)
                for utterance in route.utterances
            }
        return self._by_text.get(same_text(text))

    def _embedded(self, domain: str, domains: ServedDomains) -> Searched | None:
        """The domain's candidates, if their encoder serves the domain among other domains too."""
        return self.by_domain[domain].latest if self._has_encoder(domain, domains) else None

    def _has_encoder(self, domain: str, domains: ServedDomains) -> bool:
        return domain in self.by_domain and self.domains.encoder_id(domain) == domains.encoder_id(domain)


def _with_utterances(routes: Sequence[Route], only: Collection[str]) -> list[Route]:
    """The routes that have some of these utterances, with no others."""
    kept = ((route, tuple(text for text in route.utterances if text in only)) for route in routes)
    return [route.model_copy(update={"utterances": texts}) for route, texts in kept if texts]


def _first(found: Iterable[Searched | None]) -> Searched | None:
    return next((each for each in found if each is not None), None)
