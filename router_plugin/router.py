"""The router: which domains' encoders see a query, and which route is nearest in their spaces."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, NoReturn, SupportsIndex

from registry import GENERAL, ModelVersion, Registry
from registry.paths import PathLike
from router_plugin.batches import one_text, read_batch, read_texts
from router_plugin.classifier.known.unmodelled_domains import UnmodelledDomain
from router_plugin.contracts import DomainClassifier
from router_plugin.conversations import Turn, user_messages, with_questions
from router_plugin.decision import Decision
from router_plugin.encoders.usage import Usage
from router_plugin.errors import ClosedError, CopyError, QueryError
from router_plugin.plugins.manager import Plugins
from router_plugin.plugins.registries import opened
from router_plugin.routes import Route, RoutesGiven
from router_plugin.serving.domains import ServedDomains
from router_plugin.serving.scores import Scored, chosen_reading, score
from router_plugin.serving.state import Reloaded, ServingState
from router_plugin.settings import Settings

if TYPE_CHECKING:
    from typing_extensions import Self

log = logging.getLogger(__name__)


class DomainRouter:
    """Routes queries with the champions of a registry. Safe to use from several threads.

    Models are loaded, and candidates embedded, at the first query of their domain.
    """

    def __init__(
        self,
        routes: RoutesGiven,
        registry: Registry | PathLike | None = None,
        *,
        base_model: PathLike | None = None,
        extra_domains: Iterable[UnmodelledDomain] | PathLike = (),
        settings: Settings | None = None,
        plugin_manager: Plugins | None = None,
    ) -> None:
        """Open the registry, check the champions' files, and assemble the domain classifier from their profiles.

        Args:
            routes: routes or dicts of their attributes, or the path of a routes file.
            registry: a registry, or its folder or URL, see :func:`router_plugin.open_registry`.
            base_model: encoder of the ``general`` domain; by default the model that all champions were adapted from, or
                all-MiniLM-L6-v2 where they differ or the registry is empty.
            extra_domains: domains without a model, or a YAML file of them; the base model serves them. See
                :func:`router_plugin.classifier.known.unmodelled_domains.load_domains`.
            settings: strategy, thresholds and limits.
            plugin_manager: by default the plugins of this process.

        Raises:
            VariantError: the settings name an unknown backend, or one that is not installed.
            SettingsError: the settings name an unknown domain.
            DomainRouterError: ``extra_domains`` cannot be read, or names a domain that is registered.
            DamagedArtifactError: a champion's files are not what was registered.
            RoutesError: the routes are malformed or name an unknown domain.
            CandidateIndexError: the index that the settings name cannot be opened.
        """
        with ExitStack() as undo:
            domains = ServedDomains(
                opened(registry, undo, plugin_manager),
                base_model=base_model,
                extra_domains=extra_domains,
                settings=settings,
                plugin_manager=plugin_manager,
            )
            undo.push(domains.opened)  # stays open for the domains that a reload makes of these
            self._lent: ServedDomains | None = None
            self._start(domains, routes, domains.settings)
            self._opened = undo.pop_all()

    @classmethod
    def over(cls, domains: ServedDomains, routes: RoutesGiven, settings: Settings | None = None) -> DomainRouter:
        """A router over domains that are open already, and that others may use at the same time.

        They stay open when the router is closed, and as they are when it is reloaded.

        Args:
            domains: their registry, base model and plugins are the router's.
            routes: routes or dicts of their attributes, or the path of a routes file.
            settings: by default those that the domains were opened with.

        Raises:
            SettingsError: the settings name an unknown domain, or differ where they took effect when the domains were
                opened.
            RoutesError: the routes are malformed or name an unknown domain.
        """
        if settings is not None:
            domains.check_settings(settings)
        router = cls.__new__(cls)
        router._lent, router._opened = domains, ExitStack()
        router._start(domains, routes, settings or domains.settings)
        return router

    def _start(self, domains: ServedDomains, routes: RoutesGiven, settings: Settings) -> None:
        self._state: ServingState | None = ServingState.first(settings, domains, routes)
        self._changing, self._reloading = threading.Lock(), threading.Lock()
        self._usage = Usage(domains.registry) if settings.preload else None
        if self._usage:
            self.preload(self._usage.most_used(settings.preload, self.domains))

    @property
    def state(self) -> ServingState:
        """All that decides a query that comes now.

        Raises:
            ClosedError: the router is closed.
        """
        state = self._state
        if state is None:
            raise ClosedError("the router was closed: open another one")
        return state

    @property
    def settings(self) -> Settings:
        """Strategy, thresholds and limits."""
        return self.state.settings

    @property
    def served_domains(self) -> ServedDomains:
        """The domains with their models."""
        return self.state.domains

    @property
    def domains(self) -> tuple[str, ...]:
        """``general``, the registered domains, and those without a model."""
        return self.served_domains.names

    @property
    def classifier(self) -> DomainClassifier:
        """The domain classifier, which knows what the routes say about their domains."""
        return self.state.served.classifier

    @property
    def routes(self) -> tuple[Route, ...]:
        """All routes, with the thresholds that they have now."""
        return self.state.served.routes

    @property
    def loaded(self) -> list[str]:
        """The domains whose encoders are in memory, the longest unused first."""
        return self.served_domains.loaded

    def preload(self, domains: Iterable[str]) -> None:
        """Load the encoders of domains and embed their candidates before the first query, or after routes have changed.

        Raises:
            QueryError: a domain is unknown.
        """
        wanted = read_batch(domains, "domains")
        if unknown := [name for name in wanted if name not in self.domains]:
            raise QueryError(f"`domains`: unknown domain {unknown[0]!r}: expected some of {', '.join(self.domains)}")
        self.state.load(wanted)

    def set_routes(self, routes: RoutesGiven) -> None:
        """Replace all routes. Utterances that were there before are not embedded again.

        Raises:
            RoutesError: routes are malformed, two have the same name, or one names an unknown domain.
        """
        self.change(lambda state: state.with_routes(routes))

    def add_routes(self, routes: RoutesGiven) -> None:
        """Add routes; only their utterances are embedded.

        Raises:
            RoutesError: routes are malformed, a name is taken, or a route names an unknown domain.
        """
        self.change(lambda state: state.with_added(routes))

    def remove_route(self, name: str) -> None:
        """Remove a route.

        Raises:
            RoutesError: no route has that name.
        """
        self.change(lambda state: state.without(name))

    def change(self, step: Callable[[ServingState], ServingState]) -> None:
        """Replace the state by the next one, one change at a time. Queries that have begun finish with the old one."""
        with self._changing:
            self._state = step(self.state)

    def reload(self, champions: Mapping[str, ModelVersion] | None = None) -> Reloaded:
        """Serve with the registry's present champions.

        The new models are loaded and their candidates embedded beside the old ones, which serve until then. Then the
        router changes over in one step. Where anything fails, it goes on as it was. Encoders, cached embeddings and
        candidates of domains whose version is the same are used further. What was fitted to labelled queries for other
        models is no longer used.

        Args:
            champions: registered versions to serve in place of the registry's champions, by domain.

        Returns:
            What has changed.

        Raises:
            RoutesError: a route names a domain that is no longer registered.
            ClosedError: the router is closed.
            DomainRouterError: the new models cannot be loaded.
        """
        with self._reloading:
            before = self.state
            domains = before.domains.renewed(champions)
            if domains is before.domains:
                return Reloaded({}, False)
            prepared = before.moved_to(domains)
            changed = prepared.changes_since(before)
            prepared.load(name for name in prepared.used_domains() if name in changed)
            with self._changing:
                current = self.state
                self._state = prepared if current is before else current.moved_to(domains, (prepared.served,))
                unfitted = current.fitted is not self._state.fitted
        if unfitted:
            log.warning("thresholds were fitted for other models and are no longer used: fit them again")
        return Reloaded(changed, unfitted)

    def close(self) -> None:
        """Release the models, and the registry if it was opened here. A second call does nothing.

        A query that is under way may still be answered, or fail with a ClosedError.
        """
        with self._changing:
            state, self._state = self._state, None
        if state is None:
            return
        if self._usage:
            self._usage.close()
        if state.domains is not self._lent:
            state.domains.close()
        self._opened.close()

    def __reduce_ex__(self, _: SupportsIndex) -> NoReturn:
        raise CopyError(
            "a router cannot be copied or pickled, as it holds models: make one in each process, of the same routes, "
            "registry and settings; in one process, DomainRouter.over(router.served_domains, routes) shares its models"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def route(self, query: str, history: Iterable[Turn] = (), state: ServingState | None = None) -> Decision:
        """Route one query.

        An empty or blank query gets no route, and none that the model cannot read; one that is too long is cut. The
        decision says so.

        Args:
            query: the user's present message.
            history: earlier messages of the conversation, the latest last, as OpenAI's chat API has them. A follow-up
                is read behind the user's questions before it: "and for children?" unless its own words come nearer to
                a route, "can I take it at night" if they reach none. What the assistant said is not read.
            state: see :meth:`route_many`.

        Raises:
            QueryError: the query is not text, or a message is malformed.
            PluginError: a plugin failed.
            CandidateIndexError: the index cannot be read, if the settings name one.
        """
        return self.decide(self._examine_turn(query, history, True, state))

    def route_many(
        self, queries: Iterable[str], domains: Iterable[str] | None = None, state: ServingState | None = None
    ) -> list[Decision]:
        """Route a batch; each domain's encoder runs once.

        Args:
            queries: any number, of any iterable but a set or a mapping.
            domains: of each query, where the caller knows it: the classifier is not asked then.
            state: an earlier one of this router, so that several batches are decided alike; by default the present
                one.

        Raises:
            QueryError: a query is not text, a domain is unknown, or the strategy is ``single`` and domains are given.
            PluginError: a plugin failed.
        """
        return [self.decide(scored) for scored in self._examine(queries, domains, state=state)]

    async def aroute(self, query: str, history: Iterable[Turn] = ()) -> Decision:
        """Route one query without blocking the event loop."""
        return await asyncio.to_thread(self.route, query, list(history))

    async def aroute_many(self, queries: Iterable[str]) -> list[Decision]:
        """Route a batch without blocking the event loop."""
        return await asyncio.to_thread(self.route_many, read_texts(queries, "queries"))

    def rank(
        self, queries: Iterable[str], limit: int, domains: Iterable[str] | None = None
    ) -> list[list[tuple[str, float]]]:
        """The nearest routes of each query with their scores, the nearest first, whatever their thresholds.

        Args:
            queries: any number.
            limit: the maximum number of routes.
            domains: as for :meth:`route_many`.
        """
        return [scored.nearest(limit) for scored in self.examine(queries, domains)]

    def scores(self, queries: Iterable[str]) -> list[dict[str, float]]:
        """For hosts that decide by themselves: the score of every query with every route it is compared with.

        A route that is not compared has no score: one of other domains than the query, and every route where the query
        is empty or cannot be read.
        """
        return [scored.by_route() for scored in self.examine(queries)]

    def examine(
        self, queries: Iterable[str], domains: Iterable[str] | None = None, state: ServingState | None = None
    ) -> list[Scored]:
        """What decisions about queries are made from; see :meth:`route_many` for the arguments."""
        return self._examine(queries, domains, to_decide=False, state=state)

    def examine_turn(self, query: str, history: Iterable[Turn] = (), state: ServingState | None = None) -> Scored:
        """What the decision about a message is made from; see :meth:`route` for the arguments and the errors."""
        return self._examine_turn(query, history, False, state)

    def _examine_turn(self, query: str, history: Iterable[Turn], to_decide: bool, state: ServingState | None) -> Scored:
        query, said = one_text(query, "query"), user_messages(history)
        together = with_questions(query, said)
        queries = [query] if together is None else [query, together]
        alone, *in_context = self._examine(queries, to_decide=to_decide, state=state)
        return chosen_reading(alone, in_context[0]) if in_context else alone

    def _examine(
        self,
        queries: Iterable[str],
        domains: Iterable[str] | None = None,
        to_decide: bool = True,
        state: ServingState | None = None,
    ) -> list[Scored]:
        found = score(state or self.state, queries, domains, to_decide)
        if self._usage:
            self._usage.add(name for scored in found for name in scored.choice.weights)
        return found

    def decide(self, scored: Scored) -> Decision:
        """The decision about a query, as plugins left it.

        Raises:
            PluginError: a plugin failed.
        """
        text, state = scored.text, scored.state
        verdict = scored.verdict()
        decision = Decision(
            query=text.query,
            route=verdict.route,
            score=verdict.score,
            domain=scored.choice.domain,
            domains=scored.choice.probabilities,
            secondary_domains=_secondary_domains(scored),
            confidence=verdict.confidence,
            model_version=state.domains.version(scored.choice.domain),
            timings_ms=scored.timings,
            truncated=text.cut or scored.truncated,
            unread=round(scored.unread, 3),
            reason=verdict.reason,
            read_as=scored.read_as,
        )
        return state.domains.plugins.filter("after_route", "decision", decision)


def _secondary_domains(scored: Scored) -> list[str]:
    choice, minimum = scored.choice, scored.state.settings.secondary_threshold
    if choice.unreadable:
        return []
    likely = sorted(choice.probabilities.items(), key=lambda item: -item[1])
    return [name for name, value in likely if value >= minimum and name not in (choice.domain, GENERAL)]
