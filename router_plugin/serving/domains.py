"""The domains of a registry as they are served: the classifier that tells them apart, and their encoders."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, SupportsIndex

import numpy as np
from numpy.typing import NDArray

from registry import GENERAL, BaseModelFiles, ModelVersion, NotRegisteredError, Profile, Registry, resolve_base_model
from registry.model_folders.loading import query_reader
from registry.names import DEFAULT_BASE_MODEL
from registry.paths import PathLike
from router_plugin.classifier.known.everyday import everyday_queries
from router_plugin.classifier.known.kept import kept_profile
from router_plugin.classifier.known.unmodelled_domains import UnmodelledDomain, check_names, read_domains
from router_plugin.contracts import MOST_UNREAD, BaseEmbedder, Encoder, ModelStore
from router_plugin.encoders.embedding import Embedding, Encoded, Pair, Vector
from router_plugin.encoders.pool import EncoderPool
from router_plugin.encoders.query_cache import QueryCache
from router_plugin.encoders.selection import (
    TORCH,
    backend_of_base,
    check_choice,
    chosen_variant,
    variant_of_base,
)
from router_plugin.errors import ClosedError, CopyError, SettingsError
from router_plugin.plugins.domain_classifiers import Classifiers, ServedClassifier
from router_plugin.plugins.manager import OURS, Plugins, plugins
from router_plugin.plugins.registries import opened
from router_plugin.serving.index.contract import CandidateIndex
from router_plugin.serving.index.opening import open_index
from router_plugin.settings import Settings, checked_settings

if TYPE_CHECKING:
    from typing_extensions import Self

    from registry.model_folders.tokenizer import QueryReader
    from registry.watching.watcher import Watcher

log = logging.getLogger(__name__)

_OPENED_WITH = (
    "target_precision",
    "backend",
    "memory_budget_mb",
    "query_cache",
    "index",
    "index_nearest",
    "index_timeout_s",
    "device",
    "trust_remote_code",
)
"""Settings that take effect when the domains are opened; the others are each router's own."""


class ServedDomains:
    """``general``, the champions of a registry, and domains without a model. Safe to use from several threads.

    Its champions are those at the time it was opened; :meth:`renewed` makes another one with the present ones.

    Attributes:
        settings: that it was opened with.
        plugins: that choose the classifier and encoders.
        registry: URL of the registry.
        base: the model of ``general``.
        champions: the version of each registered domain.
        folders: where its files are.
        extra_domains: those without a model.
        encoded_by: for each domain, the one whose encoder serves it: itself, or ``general`` where it has no model.
        artifacts: for each domain with an encoder, a name that no other model version ever has.
        query_cache: recent embeddings, which all domains share that were made of these.
        index: that holds the candidates, which all domains share likewise; None where they are in memory.
        opened: the registry and the index, as far as they were opened for these domains; closing them closes it.
    """

    def __init__(
        self,
        registry: ModelStore | PathLike | None = None,
        *,
        base_model: BaseModelFiles | PathLike | None = None,
        extra_domains: Iterable[UnmodelledDomain] | UnmodelledDomain | PathLike = (),
        settings: Settings | None = None,
        plugin_manager: Plugins | None = None,
    ) -> None:
        """Check the champions' files, and read their classifier profiles.

        See :class:`router_plugin.DomainRouter` for the arguments and the errors. A registry that is given by its URL is
        closed with the domains; one that is given as an object is not.
        """
        self.settings = checked_settings(settings)
        check_choice(self.settings.backend, self.settings.device)
        self.plugins = plugin_manager or plugins()
        self.extra_domains = read_domains(extra_domains)
        self._given_base = resolve_base_model(base_model) if isinstance(base_model, (str, os.PathLike)) else base_model
        self._closed = False
        self.query_cache = QueryCache(self.settings.query_cache)
        with ExitStack() as undo:
            self._store = opened(registry, undo, self.plugins)
            self.index = self._open_index(undo)
            self._assemble(None, {each.domain: each for each in self._store.champions()})
            self.opened = undo.pop_all()

    def _assemble(self, previous: ServedDomains | None, champions: Mapping[str, ModelVersion]) -> None:
        """Take these champions, and from earlier domains of the same store what has not changed."""
        self.registry = self._store.url
        self.champions = dict(sorted(champions.items()))
        check_names(self.extra_domains, list(self.champions))
        self.base = self._base(previous)
        without = dict.fromkeys(each.name for each in self.extra_domains)
        self._versions: dict[str, ModelVersion | None] = {GENERAL: None, **self.champions, **without}
        self.encoded_by = {name: name if version else GENERAL for name, version in self._versions.items()}
        self.artifacts = {
            GENERAL: self.base.identity,
            **{each.domain: each.artifact for each in self.champions.values()},
        }
        same = self._same_encoders(previous) if previous else set()
        self.folders: dict[str, Path] = {
            name: previous.folders[name] if previous and name in same else self._store.fetch(version)
            for name, version in self.champions.items()
        }
        self._backend_of_base: str = (
            previous._backend_of_base
            if previous and GENERAL in same
            else backend_of_base(self.folders.values(), self.base, self.settings.backend, self.settings.device)
        )
        self._encoders = self._pool(previous, same)
        self._embedding = Embedding(self._encoders, self.artifacts, self.query_cache)
        self._export_base()
        self._classifiers = self._read_profiles()

    def _open_index(self, undo: ExitStack) -> CandidateIndex | None:
        if self.settings.index is None:
            return None
        index = open_index(self.settings.index, self.settings.index_timeout_s)
        undo.callback(index.close)
        return index

    def _base(self, previous: ServedDomains | None) -> BaseModelFiles:
        if self._given_base is not None:
            return self._given_base
        common = _common_base(self.champions.values())
        if previous and _common_base(previous.champions.values()) == common:
            return previous.base
        return resolve_base_model(*common)

    def _pool(self, previous: ServedDomains | None, same: Collection[str]) -> EncoderPool:
        """The encoders of the base model and of every champion, by domain."""
        load = partial(load_encoder, self._store, self.plugins, self.base)
        loaders = {name: partial(load, self.settings, version) for name, version in self.champions.items()}
        loaders[GENERAL] = partial(load, self.settings.replace(backend=self._backend_of_base), None)
        budget = self.settings.memory_budget_mb
        bytes_ = None if budget is None else budget * 1_000_000
        return EncoderPool(loaders, bytes_, previous._encoders if previous else None, same)

    def _export_base(self) -> None:
        """Make the base model's variant if there is none yet, so that no query waits for it."""
        variant = chosen_variant(self.base.path, self.base, self._backend_of_base, self.settings.device)
        if variant and not self._has_other_encoders():
            variant_of_base(self.base, variant, self.settings.trust_remote_code, everyday_queries)

    def _read_profiles(self) -> Classifiers:
        """The domain classifiers that can be assembled from the profiles of these domains."""
        base = BaseEmbedder(
            self.base.digest,
            partial(_by_base, self._embedding),
            partial(self._embedding.unread, GENERAL),
            None if self._has_other_encoders() else f"{self.base.identity} {self.runtime(GENERAL)}",
        )
        profiles = {domain: Profile.load(folder) for domain, folder in self.folders.items()}
        profiles |= {each.name: kept_profile(each.examples(), base) for each in self.extra_domains}
        self._warn_of_unread_examples()
        return Classifiers(self.plugins, profiles, base, self.settings, self.names)

    def _warn_of_unread_examples(self) -> None:
        """Queries of domains without a model that the base model cannot read tell it nothing."""
        reader = self.reader(GENERAL) if self.extra_domains else None
        for each in self.extra_domains if reader else ():
            unread = [text for text in each.examples() if reader and reader.read(text).unread > MOST_UNREAD]
            if unread:
                log.warning(
                    "%s cannot read %d of %d examples of the domain %s, such as %r",
                    *(self.base.name, len(unread), len(each.examples()), each.name, unread[0]),
                )

    def _same_encoders(self, other: ServedDomains) -> set[str]:
        """The domains with an encoder of their own that other domains have too."""
        common = self.artifacts.keys() & other.artifacts.keys()
        return {name for name in common if self.encoder_id(name) == other.encoder_id(name)}

    def promoted(self) -> dict[str, ModelVersion]:
        """The registry's present champions, by domain.

        Raises:
            ClosedError: the domains are closed.
            RegistryError: the registry cannot be read.
        """
        self._check_open()
        return {version.domain: version for version in self._store.champions()}

    def watch(self) -> Watcher | None:
        """What waits for changes of the registry, see :meth:`registry.Registry.watch`; None where nothing can.

        Raises:
            ClosedError: the domains are closed.
        """
        self._check_open()
        return self._store.watch() if isinstance(self._store, Registry) else None

    def renewed(self, champions: Mapping[str, ModelVersion] | None = None) -> ServedDomains:
        """The domains with the registry's present champions; these domains themselves where nothing has changed.

        The encoders and cached embeddings of domains whose version is the same are shared, and nothing is loaded. These
        domains stay as they are, and the registry is closed with them.

        Args:
            champions: registered versions to serve in place of the registry's champions, by domain.

        Raises:
            ClosedError: the domains are closed.
            DomainRouterError: as for the constructor.
        """
        wanted = self.promoted() if champions is None else champions
        if wanted == self.champions:
            return self
        new = type(self).__new__(type(self))
        new.__dict__.update(self.__dict__)
        new.opened = ExitStack()
        new._assemble(self, wanted)
        return new

    def registered(self, reference: str) -> ModelVersion:
        """The version that ``medical@2`` or ``medical@candidate`` refers to.

        Raises:
            ClosedError: the domains are closed.
            NotRegisteredError: there is no such version, or these are the domains of a snapshot.
            RegistryError: the registry cannot be read.
        """
        self._check_open()
        get = getattr(self._store, "get", None)
        if get is None:
            raise NotRegisteredError(f"{reference}: {self.registry} holds no versions but those that are served")
        found: ModelVersion = get(reference)
        return found

    def with_version(self, version: ModelVersion) -> ServedDomains:
        """These domains with another version of one of them; the encoders of the others are shared.

        Args:
            version: registered, see :meth:`registered`.

        Raises:
            ClosedError: the domains are closed.
            DomainRouterError: as for the constructor.
        """
        return self.renewed({**self.promoted(), version.domain: version})

    def close(self) -> None:
        """Release the encoders, and the registry if it was opened here. A second call does nothing."""
        self._closed = True
        self._encoders.close()
        self.opened.close()

    def __reduce_ex__(self, _: SupportsIndex) -> NoReturn:
        raise CopyError(
            "domains cannot be copied or pickled, as they hold models: open them once in each process, with the same "
            "registry and settings"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

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
    def store(self) -> ModelStore:
        """Where the champions come from."""
        return self._store

    @property
    def names(self) -> tuple[str, ...]:
        """``general``, the registered domains, and those without a model."""
        return tuple(self._versions)

    def version(self, domain: str) -> str:
        """The model that serves a domain: ``medical@3``, or the base model's name."""
        version = self._versions[domain]
        return version.name if version else self.base.name

    def versions(self) -> dict[str, str]:
        """The model that serves each domain."""
        return {name: self.version(name) for name in self.names}

    def is_hybrid(self, domain: str) -> bool:
        """Whether queries of a domain are compared with the words of routes too, as its version says."""
        version = self._versions[domain]
        return version is not None and version.ranking == "hybrid"

    def encoder_id(self, domain: str) -> str:
        """A name for the encoder that serves a domain; no other encoder has it."""
        version = self._versions[self.encoded_by[domain]]
        return f"{version.name} {version.artifact}" if version else self.base.identity

    def dimension(self, domain: str) -> int:
        """Dimension of the vectors of a domain; the base model is loaded to find out its own."""
        version = self._versions[domain]
        return version.dimension if version else len(self.embed([(GENERAL, "")])[0])

    def reader(self, domain: str) -> QueryReader | None:
        """How the built-in encoder of a domain reads queries, without loading it; None where that is not known."""
        if self._has_other_encoders():
            return None
        return query_reader(self.folders.get(self.encoded_by[domain], self.base.path), self.base)

    def runtime(self, domain: str) -> str:
        """What the built-in encoder of a domain runs on: ``torch``, or a variant's backend."""
        folder = self.folders.get(domain, self.base.path)
        backend = self.settings.backend if domain in self.folders else self._backend_of_base
        return chosen_variant(folder, self.base, backend, self.settings.device) or TORCH

    def _has_other_encoders(self) -> bool:
        """Whether a plugin that is not built in may choose encoders."""
        return any(each.source != OURS and "encoder" in each.hooks for each in self.plugins.loaded())

    @property
    def loaded(self) -> list[str]:
        """The domains whose encoders are in memory, the longest unused first."""
        return self._encoders.loaded

    @property
    def classifier(self) -> ServedClassifier:
        """Tells the domains apart by what is known of them without routes.

        Raises:
            PluginError: see :meth:`classifier_knowing`.
        """
        return self.classifier_knowing({})

    def classifier_knowing(self, queries: Mapping[str, Sequence[str]]) -> ServedClassifier:
        """Tells the domains apart; see :meth:`router_plugin.plugins.domain_classifiers.Classifiers.knowing`.

        Raises:
            PluginError: a plugin failed, or its classifier knows other domains.
        """
        self._check_open()
        return self._classifiers.knowing(queries)

    def profile(self, domain: str) -> Profile | None:
        """What the classifier knows of a domain's queries; None for ``general``."""
        return self._classifiers.profiles.get(domain)

    def embed(self, pairs: Sequence[Pair]) -> list[Vector]:
        """Unit vectors of texts, ``(d,)`` each, by the encoders of the domains that they are paired with."""
        return self._embedding.embed(self._by_encoder(pairs))

    def encode(self, pairs: Sequence[Pair], known: Mapping[int, Vector]) -> Encoded:
        """Like :meth:`embed`, and how the encoders read the texts.

        Args:
            pairs: domains and texts.
            known: by the number of a pair, a vector that the caller has already.
        """
        return self._embedding.encode(self._by_encoder(pairs), known)

    def _by_encoder(self, pairs: Sequence[Pair]) -> list[Pair]:
        self._check_open()
        return [(self.encoded_by[domain], text) for domain, text in pairs]

    def seconds_loading(self) -> float:
        """Seconds that the present thread has waited for encoders until they were in memory."""
        return self._encoders.waited

    @contextmanager
    def encoder(self, domain: str) -> Iterator[Encoder]:
        """The encoder of a domain, which stays in memory as long as the context is open."""
        with self._encoders.use(self.encoded_by[domain]) as encoder:
            yield encoder

    def load(self, domain: str) -> None:
        """Load the encoder of a domain, if it is not in memory."""
        with self.encoder(domain):
            pass

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError("the domains were closed: open them again")


def load_encoder(
    store: ModelStore, plugins: Plugins, base: BaseModelFiles, settings: Settings, version: ModelVersion | None
) -> Encoder:
    """A new encoder, from files whose digests are checked now; of ``general`` where there is no version."""
    if version is None:
        base.check()
    folder = store.fetch(version) if version else base.path
    answer = plugins.first_result("encoder", folder=folder, version=version, base=base, settings=settings)
    encoder: Encoder = answer.value
    return encoder


def _by_base(embedding: Embedding, texts: Sequence[str]) -> NDArray[np.float32]:
    """Unit vectors of queries by the base model, ``(n, d)``."""
    return np.stack(embedding.embed([(GENERAL, text) for text in texts]))


def _common_base(champions: Iterable[ModelVersion]) -> tuple[str, str | None]:
    """Name and revision of the base model that all champions come from, else of the default one."""
    bases = {(version.base_model.name, version.base_model.revision) for version in champions}
    return bases.pop() if len(bases) == 1 else (DEFAULT_BASE_MODEL, None)
