"""The two-stage router: a classifier picks the domain, the domain's encoder picks the route."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from registry import GENERAL, ModelVersion, Profile, Registry, resolve_base_model
from registry.names import DEFAULT_BASE_MODEL
from router_plugin.backends import check_choice
from router_plugin.candidates import Candidates
from router_plugin.clock import Clock
from router_plugin.contracts import Base, Classification, DomainClassifier, Encoder
from router_plugin.decision import Decision
from router_plugin.embedding import Embedding
from router_plugin.encoder_pool import EncoderPool
from router_plugin.errors import PluginError, QueryError
from router_plugin.opening import open_registry
from router_plugin.own_domains import OwnDomain, check_names, load_domains, own_profile
from router_plugin.plugins import Plugins, plugins
from router_plugin.query_cache import QueryCache
from router_plugin.routes import Route, check_routes, load_routes
from router_plugin.served_routes import ServedRoutes
from router_plugin.settings import Settings
from router_plugin.usage import Usage

EMPTY = "the query is empty"
BELOW = "no route is near enough"
NO_ROUTES = "the domain has no routes"


class DomainRouter:
    """Routes queries with the champions of a registry. Safe to use from several threads.

    Models are loaded, and candidates embedded, when the first query of their domain comes.
    """

    def __init__(
        self,
        routes: Iterable[Route] | Path | str,
        registry: Registry | str | None = None,
        *,
        base_model: str | None = None,
        own_domains: Iterable[OwnDomain] | Path | str = (),
        settings: Settings | None = None,
        plugin_manager: Plugins | None = None,
    ) -> None:
        """Open the registry, check the champions' files, and assemble the domain classifier from their profiles.

        Args:
            routes: routes, or the path of a routes file.
            registry: a registry, or its URL; see :meth:`registry.Registry.open`.
            base_model: encoder of the ``general`` domain; by default the one that all champions were adapted from, or
                all-MiniLM-L6-v2 where they differ or there is none.
            own_domains: domains that have no model yet, or a YAML file of them; the base model serves them. See
                :func:`router_plugin.own_domains.load_domains`.
            settings: thresholds and limits.
            plugin_manager: by default the plugins of this process.

        Raises:
            VariantError: the settings name a backend that there is not, or that is not installed.
            DomainRouterError: ``own_domains`` cannot be read, or names a domain that is registered.
            DamagedArtifactError: a champion's files are not what was registered.
            RoutesError: the routes are malformed or name an unknown domain.
        """
        self.settings = settings or Settings()
        check_choice(self.settings.backend)
        self._plugins = plugin_manager or plugins()
        store = registry if isinstance(registry, Registry) else open_registry(registry, self._plugins)
        champions = store.champions()
        folders = {version.domain: store.fetch(version) for version in champions}
        profiles = {domain: Profile.load(folder) for domain, folder in folders.items()}
        base = resolve_base_model(*((base_model, None) if base_model else _common_base(champions)))
        self._base = base
        served = {each.domain: each for each in champions}
        own = load_domains(Path(own_domains)) if isinstance(own_domains, (str, Path)) else list(own_domains)
        check_names(own, list(served))
        self._versions: dict[str, ModelVersion | None] = {GENERAL: None, **served, **{each.name: None for each in own}}
        self._encoded_by = {name: name if version else GENERAL for name, version in self._versions.items()}
        self._encoders = self._pool(folders)
        artifacts = {GENERAL: base.digest, **{name: version.artifact for name, version in served.items()}}
        self._embedding = Embedding(self._encoders, artifacts, QueryCache(self.settings.query_cache))
        as_base = Base(base.digest, self._by_base)
        profiles |= {each.name: own_profile(each, as_base) for each in own}
        self._classifier: DomainClassifier
        self._classified_by, self._classifier = self._plugins.choose_named(
            "domain_classifier", profiles=profiles, base=as_base, settings=self.settings
        )
        if set(self._classifier.domains) != set(self._versions):
            raise PluginError(
                f"plugin {self._classified_by}: its domain classifier knows the domains "
                f"{', '.join(self._classifier.domains)}, expected {', '.join(self._versions)}"
            )
        self._usage = Usage(store.url) if self.settings.preload else None
        self.set_routes(load_routes(Path(routes)) if isinstance(routes, (str, Path)) else routes)
        if self._usage:
            self.preload(self._usage.most_used(self.settings.preload, self.domains))

    @property
    def domains(self) -> tuple[str, ...]:
        """``general``, the registered domains, and those without a model."""
        return tuple(self._versions)

    @property
    def routes(self) -> tuple[Route, ...]:
        """All routes."""
        return self._served.routes

    @property
    def classifier(self) -> DomainClassifier:
        """The domain classifier."""
        return self._classifier

    def set_routes(self, routes: Iterable[Route]) -> None:
        """Replace all routes."""
        given = tuple(routes)
        check_routes(given, self.domains)
        self._served = ServedRoutes(given, self._encoded_by, self._encoders)

    @property
    def loaded(self) -> list[str]:
        """The domains whose encoders are in memory, the longest unused first."""
        return self._encoders.loaded

    def preload(self, domains: Iterable[str]) -> None:
        """Load the encoders of domains, and embed their candidates, before a query asks for them."""
        self._load(domains, self._served)

    def route(self, query: str) -> Decision:
        """Route one query.

        An empty or blank query gets no route; one that is too long is cut, and the decision says so.

        Raises:
            QueryError: the query is not text.
            PluginError: a plugin failed.
        """
        return self.route_many([query])[0]

    def route_many(self, queries: Sequence[str]) -> list[Decision]:
        """Route a batch; each domain's encoder runs once."""
        texts = self._texts(queries)
        scored = self._score([text.text for text in texts], self._served)
        decisions = [self._decide(text, found) for text, found in zip(texts, scored, strict=True)]
        return [self._plugins.change("after_route", "decision", decision) for decision in decisions]

    async def aroute(self, query: str) -> Decision:
        """Route one query without blocking the event loop."""
        return await asyncio.to_thread(self.route, query)

    async def aroute_many(self, queries: Sequence[str]) -> list[Decision]:
        """Route a batch without blocking the event loop."""
        return await asyncio.to_thread(self.route_many, queries)

    def scores(self, queries: Sequence[str]) -> list[dict[str, float]]:
        """For hosts that decide by themselves: the cosine of every query with every route.

        A route of another domain than the query's has -1, the least cosine there is.
        """
        served = self._served
        everywhere = {route.name: -1.0 for route in served.routes}
        texts = [text.text for text in self._texts(queries)]
        return [everywhere | scored.by_route() for scored in self._score(texts, served)]

    def _pool(self, folders: Mapping[str, Path]) -> EncoderPool:
        """The encoders of the base model and of every champion, by domain."""
        loaders = {GENERAL: partial(self._encoder, self._base.path, None)}
        loaders |= {name: partial(self._encoder, folder, self._versions[name]) for name, folder in folders.items()}
        budget = self.settings.memory_budget_mb
        return EncoderPool(loaders, None if budget is None else budget * 1_000_000)

    def _encoder(self, folder: Path, version: ModelVersion | None) -> Encoder:
        encoder: Encoder = self._plugins.choose(
            "encoder", folder=folder, version=version, base=self._base, settings=self.settings
        )
        return encoder

    def _texts(self, queries: Sequence[str]) -> list[_Text]:
        if isinstance(queries, str):
            raise QueryError("a batch must be a list of texts, not one text")
        return [self._text(query) for query in queries]

    def _text(self, query: str) -> _Text:
        if not isinstance(query, str):
            raise QueryError(f"a query must be text, not {type(query).__name__}")
        changed = self._plugins.change("before_route", "query", query)
        # an unpaired surrogate is no text that a tokenizer could read
        clean = changed.encode("utf-8", "replace").decode("utf-8").strip()
        limit = self.settings.max_query_characters
        return _Text(query, clean[:limit], len(clean) > limit)

    def _score(self, texts: Sequence[str], served: ServedRoutes) -> list[_Scored]:
        """Both stages for a batch of texts; an empty one is not encoded."""
        clock = Clock(len(texts))
        with clock.stage("classify"):
            classified = self._classify(texts)
        chosen = [self._pick(row) for row in classified.probabilities]
        if self._usage:
            self._usage.add(chosen)
        asked = [i for i, name in enumerate(chosen) if texts[i] and served.by_domain[name].routes]
        with clock.stage("load"):
            self._load({chosen[i] for i in asked}, served)
        with clock.stage("encode"):
            by = {i: self._encoded_by[chosen[i]] for i in asked}
            known = {i: vector for i, vector in classified.embedded.items() if by.get(i) == GENERAL}
            new = [i for i in asked if i not in known]
            vectors = known | dict(zip(new, self._embedding.embed([(by[i], texts[i]) for i in new]), strict=True))
            truncated = self._truncated([(i, by[i], texts[i]) for i in asked])
        compared: dict[int, tuple[Candidates, NDArray[np.float32]]] = {}
        with clock.stage("match"):
            for name in dict.fromkeys(chosen[i] for i in asked):
                members = [i for i in asked if chosen[i] == name]
                candidates = served.by_domain[name].candidates
                scores = candidates.scores(np.stack([vectors[i] for i in members]))
                compared |= zip(members, ((candidates, row) for row in scores), strict=True)
        timings = clock.timings()
        return [
            _Scored(
                name,
                self._by_domain(classified.probabilities[i]),
                timings,
                i in truncated,
                *compared.get(i, (None, None)),
            )
            for i, name in enumerate(chosen)
        ]

    def _load(self, domains: Iterable[str], served: ServedRoutes) -> None:
        """Make encoders and candidates ready that are not yet."""
        for name in domains:
            _ = served.by_domain[name].candidates
            with self._encoders.use(self._encoded_by[name]):
                pass

    def _truncated(self, asked: Iterable[tuple[int, str, str]]) -> set[int]:
        """The numbers of those texts that are longer than their domain's encoder reads."""
        found = set()
        for number, name, text in asked:
            with self._encoders.use(name) as encoder:
                if encoder.truncates(text):
                    found.add(number)
        return found

    def _by_base(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors of queries by the base model, ``(n, d)``."""
        return np.stack(self._embedding.embed([(GENERAL, text) for text in texts]))

    def _classify(self, texts: Sequence[str]) -> Classification:
        """Probability of every domain, ``(n, len(self._classifier.domains))``; an empty text is ``general``."""
        probabilities = np.zeros((len(texts), len(self._classifier.domains)))
        probabilities[:, self._classifier.domains.index(GENERAL)] = 1
        filled = [i for i, text in enumerate(texts) if text]
        if not filled:
            return Classification(probabilities)
        try:
            answer = self._classifier.classify([texts[i] for i in filled])
        except Exception as error:
            raise PluginError(f"plugin {self._classified_by}: its domain classifier failed: {error!r}") from error
        if answer.probabilities.shape != (len(filled), probabilities.shape[1]):  # numpy would stretch a single row
            raise PluginError(
                f"plugin {self._classified_by}: its domain classifier answered {answer.probabilities.shape}"
            )
        probabilities[filled] = answer.probabilities
        return Classification(probabilities, {filled[row]: vector for row, vector in answer.embedded.items()})

    def _pick(self, probabilities: NDArray[np.float64]) -> str:
        best = int(probabilities.argmax())
        name = self._classifier.domains[best]
        least = max(self.settings.min_confidence, self._classifier.thresholds.get(name, 0.0))
        return name if probabilities[best] >= least else GENERAL

    def _by_domain(self, probabilities: NDArray[np.float64]) -> dict[str, float]:
        return {name: float(value) for name, value in zip(self._classifier.domains, probabilities, strict=True)}

    def _decide(self, text: _Text, scored: _Scored) -> Decision:
        version = self._versions[scored.domain]
        route, score, reason = scored.best(self.settings.threshold) if text.text else (None, None, EMPTY)
        return Decision(
            query=text.query,
            route=route,
            score=score,
            domain=scored.domain,
            domains=scored.probabilities,
            also=self._also(scored),
            model_version=version.name if version else self._base.name,
            timings_ms=scored.timings,
            truncated=text.cut or scored.truncated,
            reason=reason,
        )

    def _also(self, scored: _Scored) -> list[str]:
        """The other domains that the query may belong to as well, the likeliest first."""
        likely = sorted(scored.probabilities.items(), key=lambda item: -item[1])
        least = self.settings.also_confidence
        return [name for name, value in likely if value >= least and name not in (scored.domain, GENERAL)]


@dataclass(frozen=True)
class _Text:
    """A query as it was given, and as it is routed."""

    query: str
    text: str
    cut: bool


@dataclass(frozen=True)
class _Scored:
    """What both stages found for one text; there are no scores where nothing was compared."""

    domain: str
    probabilities: dict[str, float]
    timings: dict[str, float]
    truncated: bool
    candidates: Candidates | None
    scores: NDArray[np.float32] | None

    def by_route(self) -> dict[str, float]:
        if self.candidates is None or self.scores is None:
            return {}
        return {route.name: float(score) for route, score in zip(self.candidates.routes, self.scores, strict=True)}

    def best(self, threshold: float) -> tuple[str | None, float | None, str | None]:
        """The nearest route that reaches its threshold, else the nearest score and why it is no route."""
        if self.candidates is None or self.scores is None:
            return None, None, NO_ROUTES
        for index in np.argsort(-self.scores, kind="stable"):
            route, score = self.candidates.routes[index], float(self.scores[index])
            if score >= (threshold if route.threshold is None else route.threshold):
                return route.name, score, None
        return None, float(self.scores.max()), BELOW


def _common_base(champions: Sequence[ModelVersion]) -> tuple[str, str | None]:
    """Name and revision of the base model that all champions come from, else of the default one."""
    bases = {(version.base_model.name, version.base_model.revision) for version in champions}
    return bases.pop() if len(bases) == 1 else (DEFAULT_BASE_MODEL, None)
