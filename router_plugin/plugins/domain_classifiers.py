"""The domain classifier as it is served: its answers are checked, and its errors name the plugin that it comes from."""

from __future__ import annotations

import threading
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from weakref import WeakValueDictionary

import numpy as np

from registry import GENERAL, DomainRouterError, Profile
from router_plugin.contracts import (
    BaseEmbedder,
    Classification,
    DomainClassifier,
    Evidence,
    ExplainingClassifier,
    RelatingClassifier,
)
from router_plugin.errors import PluginError
from router_plugin.plugins.builtin import BUILT_IN
from router_plugin.plugins.manager import FAILURES, Plugins, said
from router_plugin.settings import Settings


class Classifiers:
    """The classifiers of the same domains, which know different queries of them beside their profiles.

    Attributes:
        profiles: of the domains but ``general``.
    """

    def __init__(
        self,
        plugins: Plugins,
        profiles: Mapping[str, Profile],
        base: BaseEmbedder,
        settings: Settings,
        domains: Sequence[str],
    ) -> None:
        """
        Args:
            plugins: that choose the classifier.
            profiles: of the domains but ``general``.
            base: the base model.
            settings: that the domains were opened with.
            domains: all of them.
        """
        self._plugins, self.profiles, self._base = plugins, profiles, base
        self._settings, self._domains = settings, domains
        self._assembling = threading.Lock()
        self._bare: ServedClassifier | None = None
        self._in_use: WeakValueDictionary[Hashable, ServedClassifier] = WeakValueDictionary()

    def knowing(self, queries: Mapping[str, Sequence[str]]) -> ServedClassifier:
        """The one that knows these queries; assembled at the first call, and kept as long as somebody uses it.

        Args:
            queries: of some domains. The classifier without any is always kept.

        Raises:
            PluginError: a plugin failed, or its classifier knows other domains.
        """
        key = tuple((name, *queries[name]) for name in sorted(queries))
        with self._assembling:
            found = self._bare if not queries else self._in_use.get(key)
            if found is None:
                found = self._in_use[key] = self._assembled(queries)
                self._bare = self._bare if queries else found
            return found

    def _assembled(self, queries: Mapping[str, Sequence[str]]) -> ServedClassifier:
        name, classifier = self._plugins.first_result(
            "domain_classifier", profiles=self.profiles, queries=queries, base=self._base, settings=self._settings
        )
        return ServedClassifier(name, classifier, self._domains)


class ServedClassifier:
    """A domain classifier that also takes empty texts.

    Attributes:
        domains: see :class:`router_plugin.contracts.DomainClassifier`.
        thresholds: likewise.
        related: see :class:`router_plugin.contracts.RelatingClassifier`; empty where it does not know.
    """

    def __init__(self, plugin: str, classifier: DomainClassifier, expected: Sequence[str]) -> None:
        """
        Args:
            plugin: that chose it.
            classifier: to serve.
            expected: the domains that it has to know.

        Raises:
            PluginError: it knows other domains.
        """
        self.domains: Sequence[str] = classifier.domains
        self.thresholds: Mapping[str, float] = classifier.thresholds
        self.related: Mapping[str, Collection[str]] = (
            classifier.related if isinstance(classifier, RelatingClassifier) else {}
        )
        self._plugin, self._classifier = plugin, classifier
        if set(self.domains) != set(expected):
            raise PluginError(
                f"plugin {plugin}: its domain classifier knows the domains {', '.join(self.domains)}, "
                f"expected {', '.join(expected)}"
            )

    def classify(self, queries: Sequence[str]) -> Classification:
        """Probability of every domain, ``(n, len(domains))``; an empty text is ``general``.

        Raises:
            PluginError: the classifier failed, or answered another number of queries or domains.
        """
        probabilities = np.zeros((len(queries), len(self.domains)))
        probabilities[:, self.domains.index(GENERAL)] = 1
        filled = [i for i, text in enumerate(queries) if text]
        if not filled:
            return Classification(probabilities)
        with self._named_in_errors():
            answer = self._classifier.classify([queries[i] for i in filled])
        if answer.probabilities.shape != (len(filled), probabilities.shape[1]):  # numpy would stretch a single row
            raise PluginError(f"plugin {self._plugin}: its domain classifier answered {answer.probabilities.shape}")
        probabilities[filled] = answer.probabilities
        embedded = {filled[row]: vector for row, vector in answer.embedded.items()}
        return Classification(probabilities, embedded, {filled[row] for row in answer.unreadable})

    def evidence(self, text: str) -> Evidence | None:
        """What speaks for the domains of a text; None where the classifier cannot explain.

        Raises:
            PluginError: the classifier failed.
        """
        if not isinstance(self._classifier, ExplainingClassifier):
            return None
        with self._named_in_errors():
            return self._classifier.explain(text)

    @contextmanager
    def _named_in_errors(self) -> Iterator[None]:
        """Name the plugin in what the classifier raises, but for what the built-in one says to its user."""
        try:
            yield
        except FAILURES as error:
            if isinstance(error, DomainRouterError) and self._plugin in BUILT_IN:
                raise
            raise PluginError(f"plugin {self._plugin}: its domain classifier failed: {said(error)}") from error
