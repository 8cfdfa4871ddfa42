"""All that decides a query, as one object that never changes, and the steps from one such state to the next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from registry import GENERAL
from router_plugin.cosines import Floats
from router_plugin.errors import FittedError, RoutesError, SettingsError
from router_plugin.evaluation.fitted import NOT_FITTED, Fitted
from router_plugin.routes import Route, RoutesGiven, check_routes, read_routes
from router_plugin.serving.domain_routes import DomainRoutes, ServedRoutes
from router_plugin.serving.domains import ServedDomains
from router_plugin.serving.strategies import JOINED, DomainChoice
from router_plugin.settings import Settings

_SCORE_SETTINGS = ("strategy", "related", "ensemble_domains", "single_domain", "aggregation", "top_k", "min_confidence")
"""Settings under which the same query has other scores."""


@dataclass(frozen=True)
class Reloaded:
    """What changed when a router took the present champions. It is false where nothing changed.

    Attributes:
        versions: for each domain that is served by another model, the model before and now, like ``medical@3``; None
            for a domain that was not there, or no longer is.
        unfitted: whether the router no longer uses what was fitted, because it was fitted for other models.
    """

    versions: dict[str, tuple[str | None, str | None]]
    unfitted: bool

    def __bool__(self) -> bool:
        return bool(self.versions)


@dataclass(frozen=True)
class ServingState:
    """What a query is decided by. A query uses one state from beginning to end.

    Attributes:
        settings: of the router.
        domains: their models and the domain classifier.
        given: the routes as the user gave them.
        fitted: thresholds and weights.
        served: the routes with the fitted thresholds, and their candidates.
    """

    settings: Settings
    domains: ServedDomains
    given: tuple[Route, ...]
    fitted: Fitted
    served: ServedRoutes

    @classmethod
    def first(cls, settings: Settings, domains: ServedDomains, routes: RoutesGiven) -> ServingState:
        """The state of a new router.

        Raises:
            SettingsError: the settings name an unknown domain.
            RoutesError: routes are malformed, two have the same name, or one names an unknown domain.
            PluginError: a plugin failed in choosing the domain classifier.
        """
        if settings.single_domain not in domains.names:
            raise SettingsError(f"single_domain {settings.single_domain!r}: expected one of {', '.join(domains.names)}")
        for each in settings.related:
            names = each.split(JOINED)
            if len(names) < 2 or set(names) - set(domains.names):
                raise SettingsError(
                    f"`related` {each!r}: expected some of {', '.join(domains.names)}, joined by {JOINED}"
                )
        given = read_routes(routes)
        check_routes(given, domains.names)
        served = ServedRoutes(given, domains, settings.compares_all)
        state = cls(settings, domains, given, NOT_FITTED, served)
        state.load_classifier()  # so that a fault of it is found now
        return state.read_ahead()

    def with_routes(self, routes: RoutesGiven) -> ServingState:
        """With other routes, which have the thresholds that they are given with.

        Raises:
            RoutesError: routes are malformed, two have the same name, or one names an unknown domain.
        """
        return self._with(read_routes(routes), self.fitted.with_thresholds({}))

    def with_added(self, routes: RoutesGiven) -> ServingState:
        """With more routes; only their utterances are embedded.

        Raises:
            RoutesError: routes are malformed, a name is taken, or a route names an unknown domain.
        """
        return self._with((*self.given, *read_routes(routes)), self.fitted)

    def without(self, name: str) -> ServingState:
        """Without a route.

        Raises:
            RoutesError: no route has that name.
        """
        kept = tuple(route for route in self.given if route.name != name)
        if len(kept) == len(self.given):
            raise RoutesError(f"unknown route {name!r}")
        thresholds = {route: value for route, value in self.fitted.thresholds.items() if route != name}
        return self._with(kept, self.fitted.with_thresholds(thresholds))

    def with_given(self, routes: Sequence[Route]) -> ServingState:
        """With other routes in place of those that were given. What was fitted stays, as it would for a new router.

        Raises:
            RoutesError: two have the same name, or one names an unknown domain.
        """
        return self._with(tuple(routes), self.fitted)

    def with_fitted(self, fitted: Fitted) -> ServingState:
        """With fitted thresholds and weights.

        Raises:
            FittedError: they were fitted for other model versions or settings, with which scores are different.
        """
        if other := fitted.differences(self.made_for()):
            raise FittedError(f"fitted for another {', '.join(other)} than this router has: fit again")
        return self._with(self.given, fitted)

    def moved_to(self, domains: ServedDomains, prepared: Sequence[ServedRoutes] = ()) -> ServingState:
        """With other domains, and without what was fitted if that was for other models.

        Args:
            domains: of the same registry.
            prepared: routes of these domains, whose candidates are used in addition to those of this state.

        Raises:
            RoutesError: a route names a domain that is not among them.
            SettingsError: the settings do.
        """
        bare = ServingState.first(self.settings, domains, self.given)
        fitted = NOT_FITTED if self.fitted.differences(bare.made_for()) else self.fitted
        previous = (self.served, *prepared)
        served = ServedRoutes(_with_thresholds(self.given, fitted), domains, self.settings.compares_all, previous)
        return replace(bare, fitted=fitted, served=served)

    def made_for(self) -> dict[str, str]:
        """The settings and model versions, by name, that fitted thresholds and weights depend on."""
        settings = {name: str(getattr(self.settings, name)) for name in _SCORE_SETTINGS}
        encoded_by = self.domains.encoded_by.items()
        models = {name: self.domains.artifacts[encoder] for name, encoder in encoded_by}
        hybrid = {name: " and words" for name in models if self.domains.is_hybrid(name)}
        return settings | {f"model of {name}": f"{model}{hybrid.get(name, '')}" for name, model in models.items()}

    def changes_since(self, before: ServingState) -> dict[str, tuple[str | None, str | None]]:
        """The domains that are served by another model than before; see :attr:`Reloaded.versions`."""
        changed: dict[str, tuple[str | None, str | None]] = {}
        for name in dict.fromkeys((*before.domains.names, *self.domains.names)):
            was, now = (
                (each.encoder_id(name), each.version(name)) if name in each.names else (None, None)
                for each in (before.domains, self.domains)
            )
            if was[0] != now[0]:
                changed[name] = was[1], now[1]
        return changed

    def used_domains(self) -> tuple[str, ...]:
        """The domains whose encoders may see a query."""
        return (self.settings.single_domain,) if self.settings.strategy == "single" else self.domains.names

    def routes_of(self, domain: str) -> DomainRoutes:
        """The routes that queries of a domain may take."""
        strategy = self.settings.strategy
        everything = strategy == "single" or (strategy == "adaptive" and domain == GENERAL)
        return self.served.for_one_encoder if everything else self.served.by_domain[domain]

    def words_for(self, choice: DomainChoice) -> DomainRoutes | None:
        """The routes among whose words a text is looked up too; None where it is compared by encoders alone.

        The most probable domain decides. Where others compete with it, these are all routes.
        """
        if not self.domains.is_hybrid(choice.domain):
            return None
        return (self.routes_of(choice.domain) if len(choice.weights) == 1 else self.served.for_one_encoder) or None

    @property
    def threshold(self) -> float:
        """The threshold of routes that have none of their own."""
        given = self.settings.threshold
        return self.served.default_threshold if given is None else given

    def beliefs(self, choice: DomainChoice) -> tuple[Floats, Floats]:
        """How probable a choice takes the domains of routes to be, for every kind of them, ``(kinds,)`` each.

        The first is the probability of a domain of theirs, the second that of ``general`` where they do not belong to
        it. Where nothing was chosen, the domain is certain.
        """
        belongs, names = self.served.belongs, self.domains.names
        if self.settings.strategy == "single":
            return np.ones(len(belongs)), np.zeros(len(belongs))
        probabilities = np.array([choice.probabilities.get(name, 0.0) for name in names])
        general = names.index(GENERAL)
        return (belongs * probabilities).max(axis=1), np.where(belongs[:, general], 0, probabilities[general])

    def read_ahead(self) -> ServingState:
        """Warn of faults of the utterances that can be found without loading encoders; returns this state."""
        for name in self.used_domains():
            self.routes_of(name).read_ahead()
        return self

    def load(self, domains: Iterable[str]) -> None:
        """Make what queries of domains need, where that has not been done: classifier, encoders and candidates."""
        self.load_classifier()
        for name in domains:
            self.load_candidates((name,))
            self.domains.load(name)

    def load_classifier(self) -> None:
        """Assemble the domain classifier, if one is used and that has not been done."""
        if self.settings.strategy != "single":
            _ = self.served.classifier

    def load_candidates(self, domains: Iterable[str]) -> None:
        """Embed the candidates of domains, and index their words if these count, where that has not been done."""
        for name in domains:
            if routes := self.routes_of(name):
                _ = routes.candidates
                if self.domains.is_hybrid(name):
                    routes.load_words()

    def _with(self, given: tuple[Route, ...], fitted: Fitted) -> ServingState:
        check_routes(given, self.domains.names)
        routes = _with_thresholds(given, fitted)
        served = ServedRoutes(routes, self.domains, self.settings.compares_all, (self.served,))
        return replace(self, given=given, fitted=fitted, served=served).read_ahead()


def _with_thresholds(routes: Sequence[Route], fitted: Fitted) -> tuple[Route, ...]:
    return tuple(
        route.model_copy(update={"threshold": fitted.thresholds[route.name]})
        if route.name in fitted.thresholds
        else route
        for route in routes
    )
