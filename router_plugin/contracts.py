"""What a store of models, a domain classifier and an encoder must be able to do, whoever provides them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from registry import ModelVersion

Encode = Callable[[Sequence[str]], NDArray[np.float32]]


class ModelStore(Protocol):
    """Where the models of the domains come from: a registry, or a copy of what is served from one."""

    url: str

    def champions(self) -> list[ModelVersion]:
        """The version that queries of each domain are served with."""

    def fetch(self, version: ModelVersion) -> Path:
        """A local folder with the version's files, every digest checked just now."""


@dataclass(frozen=True)
class Classification:
    """What a domain classifier says of ``n`` queries.

    Attributes:
        probabilities: of every domain, ``(n, len(domains))``; every row sums to 1.
        embedded: unit vectors by the base model of those queries that were embedded on the way, by row.
    """

    probabilities: NDArray[np.float64]
    embedded: Mapping[int, NDArray[np.float32]] = field(default_factory=dict)


@dataclass(frozen=True)
class DomainEvidence:
    """What speaks for a domain.

    Attributes:
        features: of the text, each with its weight, the strongest first.
        similarity: of the nearest known queries of the domain; None where the classifier did not embed the query.
    """

    features: dict[str, float]
    similarity: float | None


@dataclass(frozen=True)
class Evidence:
    """Why a domain classifier decided as it did.

    Attributes:
        text: what it read: the question alone, spelling corrected.
        domains: what speaks for each domain.
        embedded: whether the base model was asked.
    """

    text: str
    domains: dict[str, DomainEvidence]
    embedded: bool


class DomainClassifier(Protocol):
    """Stage 1: query text to a probability per domain. Called from several threads.

    One may also have ``explain(query)``, which answers with :class:`Evidence`.
    """

    domains: Sequence[str]
    """The domains in the order of the columns, ``general`` among them."""

    thresholds: Mapping[str, float]
    """The least probability with which a query goes to a domain; 0 for a domain that is not named."""

    def classify(self, queries: Sequence[str]) -> Classification:
        """Classify queries, of which none is empty."""


class Encoder(Protocol):
    """Stage 2: texts to unit vectors of one model version. Called from several threads.

    One may have two attributes more: ``shared``, see :func:`shared_by`, and ``runtime``, the name of what it runs on.
    With that, embeddings of candidates are kept on disk: version and runtime together must name them for ever.
    """

    nbytes: int
    """Memory that dropping it frees; 0 where it lives on a model that others need too, and is never dropped."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors, ``(n, d)``."""

    def truncates(self, text: str) -> bool:
        """Whether the text is longer than the model reads."""

    def key(self, text: str) -> Hashable:
        """Texts of one key have one embedding: the text itself, or its tokens."""


class SharedPass(Protocol):
    """What several encoders share, so that their texts can be embedded in one pass."""

    def encode(self, asked: Sequence[tuple[Any, str]]) -> NDArray[np.float32]:
        """Unit vectors of texts, each by the encoder beside it: ``(n, d)``."""


def shared_by(encoder: Encoder) -> SharedPass | None:
    """What an encoder shares with others, by its attribute ``shared``; None for one that shares nothing."""
    return getattr(encoder, "shared", None)


@dataclass(frozen=True)
class JudgeOptions:
    """What ``train`` was asked to judge relevance with.

    Attributes:
        name: ``--judge``.
        model: ``--judge-model``.
        device: as torch names it.
        trust_remote_code: whether a model may run code of its own.
        llm: address of a language model, and how to ask it: what :func:`router_plugin.cli.llm.open_model` takes.
    """

    name: str
    model: str | None = None
    device: str | None = None
    trust_remote_code: bool = False
    llm: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class BaseEmbedder:
    """The base model as a domain classifier may use it: the digest of its weights, and queries to unit vectors.

    The model is loaded at the first call of ``encode``.
    """

    digest: str
    encode: Encode
