"""The domains of a registry as queries meet them: what tells them apart, and what embeds their texts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from registry import GENERAL, BaseModelFiles, ModelVersion, Profile, resolve_base_model
from registry.names import DEFAULT_BASE_MODEL
from router_plugin.classifier.unmodelled_domains import UnmodelledDomain, check_names, load_domains, own_profile
from router_plugin.contracts import (
    BaseEmbedder,
    Classification,
    DomainClassifier,
    Encoder,
    Evidence,
    ExplainingClassifier,
    ModelStore,
)
from router_plugin.encoders.embedding import Embedding, Encoded, Pair, Vector
from router_plugin.encoders.pool import EncoderPool
from router_plugin.encoders.query_cache import QueryCache
from router_plugin.encoders.selection import TORCH, check_choice, chosen_variant
from router_plugin.errors import PluginError, SettingsError
from router_plugin.plugins.manager import Plugins, plugins
from router_plugin.plugins.registry_events import open_registry
from router_plugin.settings import Settings

_OPENED_WITH = (
    "target_precision",
    "backend",
    "memory_budget_mb",
    "query_cache",
    "device",
    "trust_remote_code",
)
"""Settings that take effect when the domains are opened; the others are each router's own."""


class ServedDomains:
    """``general``, the champions of a registry, and domains without a model. Safe to use from several threads.

    Attributes:
        base: the model of ``general``.
        encoded_by: of each domain, the one whose encoder serves it: itself, or ``general`` where it has no model.
        artifacts: for each that has an encoder, what names its model version for ever.
        champions: the version of each that is registered.
        folders: where its files are.
        extra_domains: those without a model.
        registry: URL of the registry.
        plugins: that are asked and told.
    """

    def __init__(
        self,
        registry: ModelStore | str | None = None,
        *,
        base_model: BaseModelFiles | str | None = None,
        extra_domains: Iterable[UnmodelledDomain] | Path | str = (),
        settings: Settings | None = None,
        plugin_manager: Plugins | None = None,
    ) -> None:
        """Check the champions' files, and assemble the domain classifier from their profiles.

        See :class:`router_plugin.DomainRouter` for the arguments and for what is raised.
        """
        self.settings = settings or Settings()
        check_choice(self.settings.backend)
        self.plugins = plugin_manager or plugins()
        store = open_registry(registry, self.plugins) if registry is None or isinstance(registry, str) else registry
        self.registry = store.url
        self._store = store
        self.champions = {version.domain: version for version in store.champions()}
        self.folders = {domain: store.fetch(version) for domain, version in self.champions.items()}
        profiles = {domain: Profile.load(folder) for domain, folder in self.folders.items()}
        self.base = _base(base_model, list(self.champions.values()))
        own = load_domains(Path(extra_domains)) if isinstance(extra_domains, (str, Path)) else list(extra_domains)
        check_names(own, list(self.champions))
        self.extra_domains = tuple(own)
        without = dict.fromkeys(each.name for each in own)
        self._versions: dict[str, ModelVersion | None] = {GENERAL: None, **self.champions, **without}
        self.encoded_by = {name: name if version else GENERAL for name, version in self._versions.items()}
        self.artifacts = {
            GENERAL: self.base.identity,
            **{each.domain: each.artifact for each in self.champions.values()},
        }
        self._encoders = self._pool()
        self._embedding = Embedding(self._encoders, self.artifacts, QueryCache(self.settings.query_cache))
        as_base = BaseEmbedder(self.base.digest, self._by_base)
        profiles |= {each.name: own_profile(each, self.base, self._by_base) for each in own}
        self.classifier: DomainClassifier
        self._classified_by, self.classifier = self.plugins.first_result(
            "domain_classifier", profiles=profiles, base=as_base, settings=self.settings
        )
        if set(self.classifier.domains) != set(self._versions):
            raise PluginError(
                f"plugin {self._classified_by}: its domain classifier knows the domains "
                f"{', '.join(self.classifier.domains)}, expected {', '.join(self._versions)}"
            )

    def check_settings(self, settings: Settings) -> None:
        """Make sure that a router with these settings can use the domains.

        Raises:
            SettingsError: a setting differs that took effect when the domains were opened.
        """
        for name in _OPENED_WITH:
            wanted, opened = getattr(settings, name), getattr(self.settings, name)
            if wanted != opened:
                raise SettingsError(f"`{name}` {wanted!r} has no effect: the domains were opened with {opened!r}")

    @property
    def names(self) -> tuple[str, ...]:
        """``general``, the registered domains, and those without a model."""
        return tuple(self._versions)

    def version(self, domain: str) -> str:
        """What a domain is served with: ``medical@3``, or the base model's name."""
        version = self._versions[domain]
        return version.name if version else self.base.name

    def dimension(self, domain: str) -> int:
        """Numbers in a vector of the domain's encoder; that of the base model is loaded to learn it."""
        version = self._versions[domain]
        return version.dimension if version else len(self.embed([(GENERAL, "")])[0])

    def runtime(self, domain: str) -> str:
        """What the built-in encoder of a domain runs on: ``torch``, or a variant's backend."""
        folder = self.folders.get(domain, self.base.path)
        return chosen_variant(folder, self.base, self.settings.backend, self.settings.device) or TORCH

    @property
    def loaded(self) -> list[str]:
        """The domains whose encoders are in memory, the longest unused first."""
        return self._encoders.loaded

    def classify(self, texts: Sequence[str]) -> Classification:
        """Probability of every domain, ``(n, len(self.classifier.domains))``; an empty text is ``general``.

        Raises:
            PluginError: the classifier failed, or answered another number of queries or domains.
        """
        probabilities = np.zeros((len(texts), len(self.classifier.domains)))
        probabilities[:, self.classifier.domains.index(GENERAL)] = 1
        filled = [i for i, text in enumerate(texts) if text]
        if not filled:
            return Classification(probabilities)
        try:
            answer = self.classifier.classify([texts[i] for i in filled])
        except Exception as error:
            raise PluginError(f"plugin {self._classified_by}: its domain classifier failed: {error!r}") from error
        if answer.probabilities.shape != (len(filled), probabilities.shape[1]):  # numpy would stretch a single row
            raise PluginError(
                f"plugin {self._classified_by}: its domain classifier answered {answer.probabilities.shape}"
            )
        probabilities[filled] = answer.probabilities
        return Classification(probabilities, {filled[row]: vector for row, vector in answer.embedded.items()})

    def evidence(self, text: str) -> Evidence | None:
        """What speaks for the domains of a text; None where the classifier cannot tell.

        Raises:
            PluginError: the classifier failed.
        """
        if not isinstance(self.classifier, ExplainingClassifier):
            return None
        try:
            return self.classifier.explain(text)
        except Exception as error:
            raise PluginError(f"plugin {self._classified_by}: its domain classifier failed: {error!r}") from error

    def embed(self, pairs: Sequence[Pair]) -> list[Vector]:
        """Unit vectors of texts, ``(d,)`` each, by the encoders of the domains that they are paired with."""
        return self._embedding.embed(self._by_encoder(pairs))

    def encode(self, pairs: Sequence[Pair], known: Mapping[int, Vector]) -> Encoded:
        """Like :meth:`embed`, and which texts are longer than their encoders read.

        Args:
            pairs: domains and texts.
            known: by the number of a pair, a vector that the caller has already.
        """
        return self._embedding.encode(self._by_encoder(pairs), known)

    def _by_encoder(self, pairs: Sequence[Pair]) -> list[Pair]:
        return [(self.encoded_by[domain], text) for domain, text in pairs]

    @contextmanager
    def encoder(self, domain: str) -> Iterator[Encoder]:
        """The encoder of a domain, which stays in memory as long as the context is open."""
        with self._encoders.use(self.encoded_by[domain]) as encoder:
            yield encoder

    def load(self, domain: str) -> None:
        """Load the encoder of a domain, if it is not in memory."""
        with self.encoder(domain):
            pass

    def _pool(self) -> EncoderPool:
        """The encoders of the base model and of every champion, by domain."""
        loaders = {name: partial(self._encoder, self.champions.get(name)) for name in (GENERAL, *self.champions)}
        budget = self.settings.memory_budget_mb
        return EncoderPool(loaders, None if budget is None else budget * 1_000_000)

    def _encoder(self, version: ModelVersion | None) -> Encoder:
        """A new encoder, from files whose digests are checked just now."""
        if version is None:
            self.base.check()
        folder = self._store.fetch(version) if version else self.base.path
        answer = self.plugins.first_result(
            "encoder", folder=folder, version=version, base=self.base, settings=self.settings
        )
        encoder: Encoder = answer.value
        return encoder

    def _by_base(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors of queries by the base model, ``(n, d)``."""
        return np.stack(self._embedding.embed([(GENERAL, text) for text in texts]))


def _base(given: BaseModelFiles | str | None, champions: Sequence[ModelVersion]) -> BaseModelFiles:
    if isinstance(given, BaseModelFiles):
        return given
    return resolve_base_model(*((given, None) if given else _common_base(champions)))


def _common_base(champions: Sequence[ModelVersion]) -> tuple[str, str | None]:
    """Name and revision of the base model that all champions come from, else of the default one."""
    bases = {(version.base_model.name, version.base_model.revision) for version in champions}
    return bases.pop() if len(bases) == 1 else (DEFAULT_BASE_MODEL, None)
