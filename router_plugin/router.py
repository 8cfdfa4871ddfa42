"""The router: which domains' encoders see a query, and which route is nearest in their spaces."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from registry import GENERAL, Registry
from registry.shared.texts import clean
from router_plugin.classifier.unmodelled_domains import UnmodelledDomain
from router_plugin.contracts import DomainClassifier
from router_plugin.decision import Decision
from router_plugin.encoders.usage import Usage
from router_plugin.errors import FittedError, QueryError, RoutesError, SettingsError
from router_plugin.evaluation.routes import RouteEvaluation, evaluate_routes
from router_plugin.explanation import Explanation, Neighbour
from router_plugin.plugins.manager import Plugins
from router_plugin.routes import Route, check_routes, load_routes
from router_plugin.serving.domain_routes import DomainRoutes, ServedRoutes
from router_plugin.serving.domains import ServedDomains
from router_plugin.serving.fitting import Fitted, Ranked, fit_confidence, fit_thresholds, ranked
from router_plugin.serving.scores import Match, Scored, joined
from router_plugin.serving.strategies import discounts, likeliest, likeliest_few
from router_plugin.serving.texts import check_batch
from router_plugin.serving.timings import Clock
from router_plugin.settings import Settings

EMPTY = "the query is empty"
BLOCK = 256
"""Labelled queries that are routed at a time."""


class DomainRouter:
    """Routes queries with the champions of a registry. Safe to use from several threads.

    Models are loaded, and candidates embedded, when the first query of their domain comes.
    """

    def __init__(
        self,
        routes: Iterable[Route] | Path | str,
        registry: Registry | ServedDomains | str | None = None,
        *,
        base_model: str | None = None,
        extra_domains: Iterable[UnmodelledDomain] | Path | str = (),
        settings: Settings | None = None,
        plugin_manager: Plugins | None = None,
    ) -> None:
        """Open the registry, check the champions' files, and assemble the domain classifier from their profiles.

        Args:
            routes: routes, or the path of a routes file.
            registry: a registry, or its URL, see :meth:`registry.Registry.open`; or domains that another router has
                opened already, and then the options that follow, but for the settings, are theirs.
            base_model: encoder of the ``general`` domain; by default the one that all champions were adapted from, or
                all-MiniLM-L6-v2 where they differ or there is none.
            extra_domains: domains that have no model yet, or a YAML file of them; the base model serves them. See
                :func:`router_plugin.classifier.unmodelled_domains.load_domains`.
            settings: strategy, thresholds and limits.
            plugin_manager: by default the plugins of this process.

        Raises:
            VariantError: the settings name a backend that there is not, or that is not installed.
            SettingsError: the settings name a domain that there is not.
            DomainRouterError: ``extra_domains`` cannot be read, or names a domain that is registered.
            DamagedArtifactError: a champion's files are not what was registered.
            RoutesError: the routes are malformed or name an unknown domain.
        """
        if isinstance(registry, ServedDomains):
            self.served_domains = registry
        else:
            self.served_domains = ServedDomains(
                registry,
                base_model=base_model,
                extra_domains=extra_domains,
                settings=settings,
                plugin_manager=plugin_manager,
            )
        self.settings = settings or self.served_domains.settings
        if self.settings.single_domain not in self.domains:
            raise SettingsError(
                f"single_domain {self.settings.single_domain!r}: expected one of {', '.join(self.domains)}"
            )
        self._usage = Usage(self.served_domains.registry) if self.settings.preload else None
        self._served: ServedRoutes | None = None
        self._confidence: tuple[float, ...] = ()
        self._changing = threading.Lock()
        self.set_routes(load_routes(Path(routes)) if isinstance(routes, (str, Path)) else routes)
        if self._usage:
            self.preload(self._usage.most_used(self.settings.preload, self.domains))

    @property
    def domains(self) -> tuple[str, ...]:
        """``general``, the registered domains, and those without a model."""
        return self.served_domains.names

    @property
    def routes(self) -> tuple[Route, ...]:
        """All routes."""
        return self._now.routes

    @property
    def classifier(self) -> DomainClassifier:
        """The domain classifier."""
        return self.served_domains.classifier

    def set_routes(self, routes: Iterable[Route]) -> None:
        """Replace all routes. Utterances that were there before are not embedded again."""
        with self._changing:
            self._replace(tuple(routes))

    def add_routes(self, routes: Iterable[Route]) -> None:
        """Add routes; nothing but their utterances is embedded.

        Raises:
            RoutesError: there is a route of that name, or one names an unknown domain.
        """
        with self._changing:
            self._replace((*self.routes, *routes))

    def remove_route(self, name: str) -> None:
        """Remove a route.

        Raises:
            RoutesError: there is none of that name.
        """
        with self._changing:
            kept = tuple(route for route in self.routes if route.name != name)
            if len(kept) == len(self.routes):
                raise RoutesError(f"route {name!r}: there is none of that name")
            self._replace(kept)

    @property
    def loaded(self) -> list[str]:
        """The domains whose encoders are in memory, the longest unused first."""
        return self.served_domains.loaded

    def preload(self, domains: Iterable[str]) -> None:
        """Load the encoders of domains, and embed their candidates, before a query asks for them."""
        self._load(domains, self._now)

    def route(self, query: str) -> Decision:
        """Route one query.

        An empty or blank query gets no route; one that is too long is cut, and the decision says so.

        Raises:
            QueryError: the query is not text.
            PluginError: a plugin failed.
        """
        return self.route_many([query])[0]

    def route_many(self, queries: Sequence[str], domains: Sequence[str] | None = None) -> list[Decision]:
        """Route a batch; each domain's encoder runs once.

        Args:
            queries: any number.
            domains: of each query, where the caller knows it: the classifier is not asked then.

        Raises:
            QueryError: a query is not text, or a domain is not known.
            PluginError: a plugin failed.
        """
        return self._route(self._texts(queries), self._now, domains)

    async def aroute(self, query: str) -> Decision:
        """Route one query without blocking the event loop."""
        return await asyncio.to_thread(self.route, query)

    async def aroute_many(self, queries: Sequence[str]) -> list[Decision]:
        """Route a batch without blocking the event loop."""
        return await asyncio.to_thread(self.route_many, queries)

    def rank(
        self, queries: Sequence[str], most: int, domains: Sequence[str] | None = None
    ) -> list[list[tuple[str, float]]]:
        """The nearest routes of each query with their scores, the nearest first, whatever their thresholds.

        Args:
            queries: any number.
            most: how many routes.
            domains: as for :meth:`route_many`.
        """
        texts = [text.text for text in self._texts(queries)]
        return [scored.nearest(most) for scored in self._score(texts, self._now, domains)]

    def scores(self, queries: Sequence[str]) -> list[dict[str, float]]:
        """For hosts that decide by themselves: the score of every query with every route.

        A route that the query's domains do not have scores -1, the least cosine there is.
        """
        served = self._now
        everywhere = {route.name: -1.0 for route in served.routes}
        texts = [text.text for text in self._texts(queries)]
        return [everywhere | scored.by_route() for scored in self._score(texts, served)]

    def explain(self, query: str, most: int = 5) -> Explanation:
        """Route a query and say why.

        The candidates of the query's domain are embedded by the base model too, at the first such query. Where a plugin
        changed the decision, they are still those that the router compared.

        Args:
            query: the query.
            most: how many of the nearest candidates are told.

        Raises:
            QueryError: the query is not text, or ``most`` is below 0.
            PluginError: a plugin failed.
        """
        if most < 0:
            raise QueryError(f"most {most}: expected at least 0")
        served, (text,) = self._now, self._texts([query])
        (scored,) = self._score([text.text], served)
        decision = self._decided(text, scored)
        asked = text.text and self.settings.strategy != "single"
        evidence = self.served_domains.evidence(text.text) if asked else None
        near = self._routes(served, scored.domain) if text.text else None
        if not near:
            return Explanation(decision, evidence, None, [], [])
        in_general = near.embedded_by(GENERAL)
        own, general = self.served_domains.embed([(scored.domain, text.text), (GENERAL, text.text)])
        nearest = [Neighbour(*found) for found in near.candidates.nearest(own, max(most, 1))]
        thresholds = {route.name: route.threshold for route in served.routes}
        threshold = thresholds[decision.route if decision.route in thresholds else nearest[0].route]
        return Explanation(
            decision=decision,
            evidence=evidence,
            threshold=self.settings.threshold if threshold is None else threshold,
            nearest=nearest[:most],
            nearest_in_general=[Neighbour(*found) for found in in_general.nearest(general, most)],
        )

    def fit(self, queries: Sequence[str], labels: Sequence[str | None], domains: Sequence[str] | None = None) -> Fitted:
        """Set the thresholds of routes, and fit the confidence of decisions, to labelled queries.

        Args:
            queries: at least one.
            labels: of each the name of the right route, or None for none.
            domains: as for :meth:`route_many`.

        Returns:
            What :meth:`apply` takes, which has been applied already.

        Raises:
            QueryError: there is no query, or a label is no route.
        """
        served = self._now
        rows = self._labels(queries, labels, served)
        ranked = self._rank(queries, served, domains)
        start = np.where(np.isnan(served.thresholds), self.settings.threshold, served.thresholds)
        thresholds = fit_thresholds(ranked, rows, start)
        named = {served.routes[row].name: float(thresholds[row]) for row in sorted(set(rows.tolist()) - {-1})}
        fitted = Fitted(thresholds=named, confidence=fit_confidence(ranked, rows), made_for=self._made_for())
        self.apply(fitted)
        return fitted

    def apply(self, fitted: Fitted) -> None:
        """Take thresholds and confidence from an earlier :meth:`fit`.

        Raises:
            FittedError: it was made for other model versions or settings, under which scores mean something else.
        """
        if other := {key for key, value in self._made_for().items() if fitted.made_for.get(key) != value}:
            raise FittedError(
                f"what was fitted is for another {', '.join(sorted(other))} than this router has: fit it again"
            )
        with self._changing:
            thresholds = {route.name: fitted.thresholds.get(route.name, route.threshold) for route in self.routes}
            self._replace(
                tuple(route.model_copy(update={"threshold": thresholds[route.name]}) for route in self.routes)
            )
            self._confidence = fitted.confidence

    def evaluate(self, queries: Sequence[str], labels: Sequence[str | None]) -> RouteEvaluation:
        """Route labelled queries and compare; see :meth:`fit` for the arguments.

        Raises:
            QueryError: there is no query, or a label is no route.
        """
        self._labels(queries, labels, self._now)
        blocks = (queries[start : start + BLOCK] for start in range(0, len(queries), BLOCK))
        return evaluate_routes([decision for block in blocks for decision in self.route_many(block)], labels)

    @property
    def _now(self) -> ServedRoutes:
        assert self._served is not None
        return self._served

    def _replace(self, routes: tuple[Route, ...]) -> None:
        check_routes(routes, self.domains)
        self._served = ServedRoutes(routes, self.served_domains, self.settings.single_domain, self._served)

    def _labels(self, queries: Sequence[str], labels: Sequence[str | None], served: ServedRoutes) -> NDArray[np.int64]:
        """The number of each query's route, ``(n,)``; -1 for none."""
        if not len(queries) or len(queries) != len(labels):  # the two may be numpy's
            raise QueryError(f"expected one label for every query, and at least one: {len(queries)}, {len(labels)}")
        numbers: dict[str | None, int] = {route.name: number for number, route in enumerate(served.routes)}
        if unknown := next((label for label in labels if label not in numbers and label is not None), None):
            raise QueryError(f"label {unknown!r}: there is no route of that name")
        return np.array([numbers.get(label, -1) for label in labels], dtype=np.int64)

    def _rank(self, queries: Sequence[str], served: ServedRoutes, domains: Sequence[str] | None) -> Ranked:
        texts = [text.text for text in self._texts(queries)]
        blocks = [slice(start, start + BLOCK) for start in range(0, len(texts), BLOCK)]
        found = [self._score(texts[block], served, None if domains is None else domains[block]) for block in blocks]
        return ranked([(row.positions, row.scores, row.probability) for rows in found for row in rows])

    def _made_for(self) -> dict[str, str]:
        """What must not change between fitting and routing: what scores are, and of which models."""
        settings = self.settings
        names = ("strategy", "ensemble_domains", "single_domain", "aggregation", "top_k", "min_confidence")
        same = {name: str(getattr(settings, name)) for name in names}
        return same | {
            f"model of {name}": self.served_domains.artifacts[by] for name, by in self.served_domains.encoded_by.items()
        }

    def _texts(self, queries: Sequence[str]) -> list[_Text]:
        check_batch(queries)
        return [self._text(query) for query in queries]

    def _text(self, query: str) -> _Text:
        query = str.__str__(query)  # itself, of the kind that plugins answer with: it may be numpy's
        whole = clean(self.served_domains.plugins.filter("before_route", "query", query))
        limit = self.settings.max_query_characters
        return _Text(query, whole[:limit], len(whole) > limit)

    def _route(
        self, texts: Sequence[_Text], served: ServedRoutes, domains: Sequence[str] | None = None
    ) -> list[Decision]:
        scored = self._score([text.text for text in texts], served, domains)
        return [self._decided(text, found) for text, found in zip(texts, scored, strict=True)]

    def _score(self, texts: Sequence[str], served: ServedRoutes, domains: Sequence[str] | None = None) -> list[Scored]:
        """Both stages for a batch of texts; an empty one is not encoded."""
        clock = Clock(len(texts))
        with clock.stage("classify"):
            seen, probabilities, embedded = self._weigh(texts) if domains is None else self._given(texts, domains)
        if self._usage:
            self._usage.add(name for each in seen for name in each)
        asked = [(i, name) for i, each in enumerate(seen) if texts[i] for name in each if self._routes(served, name)]
        with clock.stage("load"):
            self._load({name for _, name in asked}, served)
        with clock.stage("encode"):
            vectors = self._embed(asked, texts, embedded)
            truncated = {i for i, name in asked if self.served_domains.truncates(name, texts[i])}
        matched: list[list[Match]] = [[] for _ in texts]
        with clock.stage("match"):
            for name in dict.fromkeys(name for _, name in asked):
                members = [i for i, each in asked if each == name]
                near = self._routes(served, name)
                vector = np.stack([vectors[i, name] for i in members])
                scores = near.candidates.scores(vector, self.settings.aggregation, self.settings.top_k)
                for i, row in zip(members, scores, strict=True):
                    matched[i].append(Match(seen[i][name], near.positions, row))
            found = [joined(matches, len(served.routes)) for matches in matched]
        timings = clock.timings()
        return [
            Scored(next(iter(seen[i])), probabilities[i], timings, i in truncated, served, *found[i])
            for i in range(len(texts))
        ]

    def _weigh(
        self, texts: Sequence[str]
    ) -> tuple[list[dict[str, float]], list[dict[str, float]], Mapping[int, NDArray[np.float32]]]:
        """Which domains see each text, and how much of their scores counts; the probabilities of all; and what was
        embedded by the base model on the way.
        """
        settings, names = self.settings, self.classifier.domains
        if settings.strategy == "single":
            alone = {settings.single_domain: 1.0}
            return [alone] * len(texts), [alone] * len(texts), {}
        found = self.served_domains.classify(texts)
        if settings.strategy == "ensemble":
            seen = [discounts(likeliest_few(row, names, settings.ensemble_domains)) for row in found.probabilities]
        else:
            least = self.classifier.thresholds
            seen = [likeliest(row, names, least, settings.min_confidence) for row in found.probabilities]
        return seen, [dict(zip(names, row, strict=True)) for row in found.probabilities.tolist()], found.embedded

    def _given(
        self, texts: Sequence[str], domains: Sequence[str]
    ) -> tuple[list[dict[str, float]], list[dict[str, float]], Mapping[int, NDArray[np.float32]]]:
        """As :meth:`_weigh`, of domains that the caller knows."""
        if len(domains) != len(texts):
            raise QueryError(f"expected a domain for every query: {len(texts)} queries, {len(domains)} domains")
        if unknown := set(domains) - set(self.domains):
            raise QueryError(f"domain {min(unknown)!r} is not registered: expected one of {', '.join(self.domains)}")
        alone = [{name: 1.0} for name in domains]
        return alone, [dict.fromkeys(self.domains, 0.0) | each for each in alone], {}

    def _embed(
        self, asked: Sequence[tuple[int, str]], texts: Sequence[str], embedded: Mapping[int, NDArray[np.float32]]
    ) -> dict[tuple[int, str], NDArray[np.float32]]:
        """The vector of each text by each domain that sees it."""
        by_base = {pair for pair in asked if self.served_domains.encoded_by[pair[1]] == GENERAL and pair[0] in embedded}
        new = [pair for pair in asked if pair not in by_base]
        made = self.served_domains.embed([(name, texts[i]) for i, name in new])
        return {pair: embedded[pair[0]] for pair in by_base} | dict(zip(new, made, strict=True))

    def _routes(self, served: ServedRoutes, domain: str) -> DomainRoutes:
        return served.single if self.settings.strategy == "single" else served.by_domain[domain]

    def _load(self, domains: Iterable[str], served: ServedRoutes) -> None:
        """Make encoders and candidates ready that are not yet."""
        for name in domains:
            if routes := self._routes(served, name):
                _ = routes.candidates
            self.served_domains.load(name)

    def _decided(self, text: _Text, scored: Scored) -> Decision:
        """The decision as plugins left it."""
        return self.served_domains.plugins.filter("after_route", "decision", self._decide(text, scored))

    def _decide(self, text: _Text, scored: Scored) -> Decision:
        route, score, reason = scored.best(self.settings.threshold) if text.text else (None, None, EMPTY)
        return Decision(
            query=text.query,
            route=route,
            score=score,
            domain=scored.domain,
            domains=scored.probabilities,
            also=self._also(scored),
            confidence=scored.confidence(self._confidence, route) if self._confidence else None,
            model_version=self.served_domains.version(scored.domain),
            timings_ms=scored.timings,
            truncated=text.cut or scored.truncated,
            reason=reason,
        )

    def _also(self, scored: Scored) -> list[str]:
        """The other domains that the query may belong to as well, the likeliest first."""
        likely = sorted(scored.probabilities.items(), key=lambda item: -item[1])
        least = self.settings.secondary_threshold
        return [name for name, value in likely if value >= least and name not in (scored.domain, GENERAL)]


@dataclass(frozen=True)
class _Text:
    """A query as it was given, and as it is routed."""

    query: str
    text: str
    cut: bool
