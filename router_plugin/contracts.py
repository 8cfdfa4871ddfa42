"""The contracts of a model store, a domain classifier and an encoder.

A protocol says what every implementation must have. What one may have in addition is in protocols derived from it:
:class:`RelatingClassifier`, :class:`ExplainingClassifier`, :class:`CachingEncoder`, :class:`ReadingEncoder` and
:class:`SharingEncoder`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from registry import ModelVersion

Encode = Callable[[Sequence[str]], NDArray[np.float32]]

CERTAIN = 0.9
"""Probability from which a domain is asked alone, and domains that are mistaken for each other are related."""

MOST_UNREAD = 0.5
"""The largest fraction of unknown words in a text that can be read. What is left of another one says too little."""


class ModelStore(Protocol):
    """Where the models of the domains come from: a registry, or a copy of what is served from one."""

    url: str

    def champions(self) -> list[ModelVersion]:
        """The version that queries of each domain are served with."""

    def fetch(self, version: ModelVersion) -> Path:
        """A local folder with the version's files, every digest checked by this call."""


@dataclass(frozen=True)
class Classification:
    """A domain classifier's answer for ``n`` queries.

    Attributes:
        probabilities: of every domain, ``(n, len(domains))``; every row sums to 1.
        embedded: row to the base model's unit vector, for the queries that the classifier had to embed.
        unreadable: rows of queries of which the classifier can tell nothing, because it cannot read them.
    """

    probabilities: NDArray[np.float64]
    embedded: Mapping[int, NDArray[np.float32]] = field(default_factory=dict)
    unreadable: Collection[int] = ()


@dataclass(frozen=True)
class DomainEvidence:
    """What speaks for a domain.

    Attributes:
        features: of the text, each with its weight, the strongest first.
        similarity: cosine with the nearest known queries of the domain; None where the query was not embedded.
    """

    features: dict[str, float]
    similarity: float | None


@dataclass(frozen=True)
class Evidence:
    """Why a domain classifier decided as it did.

    Attributes:
        text: what it read: the question without its wrapper, spelling corrected.
        domains: the evidence for each domain.
        embedded: whether the base model embedded the query.
    """

    text: str
    domains: dict[str, DomainEvidence]
    embedded: bool


class DomainClassifier(Protocol):
    """Stage 1: query text to a probability per domain. Called from several threads."""

    domains: Sequence[str]
    """The domains in the order of the columns, ``general`` among them."""

    thresholds: Mapping[str, float]
    """The minimum probability with which a query goes to a domain; 0 for a domain that is not in it."""

    def classify(self, queries: Sequence[str]) -> Classification:
        """Classify queries, none of which is empty."""


@runtime_checkable
class RelatingClassifier(DomainClassifier, Protocol):
    """A domain classifier that knows which domains it mixes up."""

    related: Mapping[str, Collection[str]]
    """Of some domains, others that compete whenever it is certain of them; both ways."""


@runtime_checkable
class ExplainingClassifier(DomainClassifier, Protocol):
    """A domain classifier that can explain its decisions."""

    def explain(self, query: str) -> Evidence:
        """What speaks for each domain."""


class Encoder(Protocol):
    """Stage 2: texts to unit vectors of one model version. Called from several threads."""

    nbytes: int
    """Memory that dropping it frees; 0 where it runs on a model that others need too, and is never dropped."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors, ``(n, d)``."""

    def truncates(self, text: str) -> bool:
        """Whether the text is longer than the model reads."""

    def key(self, text: str) -> Hashable:
        """Texts with the same key have the same embedding: the text itself, or its tokens."""


@runtime_checkable
class CachingEncoder(Encoder, Protocol):
    """An encoder whose embeddings of candidates are cached on disk, by model version and runtime."""

    runtime: str
    """What it runs on. The same version on the same runtime must always produce the same vectors."""


@runtime_checkable
class ReadingEncoder(Encoder, Protocol):
    """An encoder that can tell how much of a text it does not know. Others are taken to read everything."""

    def unread(self, text: str) -> float:
        """The fraction of the text's words that the encoder does not know; 1 where it finds nothing in it."""


def unread_by(encoder: Encoder, text: str) -> float:
    """The fraction of a text that an encoder cannot read."""
    unread: Callable[[str], float] | None = getattr(encoder, "unread", None)  # which is faster than isinstance
    return unread(text) if unread else 0.0


class SharedPass(Protocol):
    """A model that several encoders run on, so that their texts can be embedded in one pass."""

    def encode(self, pairs: Sequence[tuple[Any, str]]) -> Iterable[NDArray[np.float32]]:
        """Unit vectors, ``(d,)`` each, of texts, each by the encoder that it is paired with."""


@runtime_checkable
class SharingEncoder(Encoder, Protocol):
    """An encoder that runs on a model that it shares with others."""

    @property
    def shared(self) -> SharedPass:
        """That model, the same object for all encoders that run on it."""


@dataclass(frozen=True)
class BaseEmbedder:
    """The base model as a domain classifier may use it. It is loaded at the first call of ``encode``.

    Attributes:
        digest: of the model's weights.
        encode: queries to unit vectors, ``(n, d)``.
        unread: queries to the fraction of each that the model cannot read.
        identity: of the model and what it runs on, by which vectors can be kept: with the same one, they are the same.
            None where that is not known.
    """

    digest: str
    encode: Encode
    unread: Callable[[Sequence[str]], Sequence[float]] = lambda texts: [0.0] * len(texts)
    identity: str | None = None
