"""One vector space for the encoders of all domains: the direct sum of theirs, for hosts that hold a single index."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from registry import GENERAL
from registry.shared.texts import clean
from router_plugin.batches import read_optional_texts, read_texts
from router_plugin.classifier.known.unmodelled_domains import UnmodelledDomain
from router_plugin.contracts import MOST_UNREAD
from router_plugin.encoders.embedding import Pair, Vector
from router_plugin.errors import JointSpaceError
from router_plugin.joint_space.own_vectors import own_vector
from router_plugin.joint_space.record import Block, SpaceRecord
from router_plugin.plugins.manager import OURS
from router_plugin.serving.domains import ServedDomains
from router_plugin.serving.index.contract import JOINT as IN_INDEX
from router_plugin.serving.index.contract import Space
from router_plugin.serving.strategies import Weights, likeliest, likeliest_few

JOINT = "domain-routed"
"""The name of the joint space among those of models."""

_CHOOSING = {"domain_classifier", "encoder"}
"""Hooks of plugins that affect the vectors."""


class Joined(NamedTuple):
    """Texts in a joint space.

    Attributes:
        vectors: unit vectors, ``(n, dimension)``.
        unread: of each text, whether it is empty or none of its encoders can read it.
    """

    vectors: NDArray[np.float32]
    unread: list[bool]


class JointSpace:
    """Embeds texts of all domains in one space, in which cosines can be compared. Safe to use from several threads.

    With the probabilities p_d(x) of the domains, kept for the likeliest few and renormalised, and the unit vectors
    e_d(x) of the domains' encoders, a text is embedded as

        z(x) = ⊕_d sqrt(p_d(x)) e_d(x)     so that |z(x)| = 1 and cos(z(x), z(y)) = Σ_d sqrt(p_d(x) p_d(y)) cos_d(x, y).

    The weights are the terms of the Bhattacharyya kernel (Jebara, Kondor and Howard, 2004, "Probability Product
    Kernels"). With one domain per text this is two-stage routing: within a domain the cosine is the encoder's own, and
    between domains it is 0.

    A text that its encoder cannot read has a vector of its own in place of e_d(x), see
    :func:`router_plugin.joint_space.own_vectors.own_vector`; the encoder's would be equal for all such texts.

    Attributes:
        domains: whose spaces are joined.
        top: maximum number of domains of a text, the likeliest ones.
        block: dimension of each domain's part of a vector, in the order of ``domains.names``.
        dimension: of a vector.
        record: all that determines the vectors.
        identifier: of the record. Vectors with another identifier cannot be compared, see :meth:`check`.
    """

    def __init__(self, domains: ServedDomains, top: int = 1, dims: int | None = None) -> None:
        """
        Args:
            domains: ``general`` among them.
            top: 1 for the domain that two-stage routing chooses, with the thresholds of the domains' settings; a larger
                number for that many of the likeliest domains.
            dims: leading dimensions to keep of every encoder's vectors, which are normalised again (Kusupati et al.,
                2022, "Matryoshka Representation Learning"); None for all. Shorter vectors are padded with zeros.

        Raises:
            JointSpaceError: ``top`` is below 1, or ``dims`` below 1 or more than any encoder has.
        """
        largest = max(map(domains.dimension, set(domains.encoded_by.values())))
        if top < 1:
            raise JointSpaceError(f"`top` {top}: expected at least 1")
        if dims is not None and not 1 <= dims <= largest:
            raise JointSpaceError(f"`dims` {dims}: expected from 1 to {largest}, the largest dimension of an encoder")
        self.domains, self.top, self.block = domains, top, dims or largest
        self.dimension = self.block * len(domains.names)
        self.record = self._record()
        self.identifier = self.record.identifier
        self._start = {name: number * self.block for number, name in enumerate(domains.names)}

    def check(self, made_in: SpaceRecord | str) -> None:
        """Make sure that vectors may be compared with this space's.

        Args:
            made_in: the record of the space in which they were made; or its identifier, which cannot tell what differs.

        Raises:
            JointSpaceError: they may not; the text gives both identifiers and says what to do.
        """
        self.record.check(made_in)

    @property
    def stored_as(self) -> Space:
        """The space of an index of candidates in which vectors of this joint space are stored, and no others."""
        return Space(domain=IN_INDEX, model=JOINT, digest=self.identifier, runtime=f"top {self.top}")

    def encode_queries(self, texts: Iterable[str]) -> NDArray[np.float32]:
        """Unit vectors, ``(n, dimension)``. An empty text is ``general``; one that is too long is cut.

        Raises:
            QueryError: a text is not a string.
            PluginError: a plugin failed.
        """
        return self.join(texts).vectors

    def encode_documents(
        self, texts: Iterable[str], domains: Iterable[str | None] | None = None
    ) -> NDArray[np.float32]:
        """Unit vectors, ``(n, dimension)``, of texts whose domains may be known.

        Args:
            texts: any number.
            domains: of each text, the domain into whose part of the vector it goes entirely; None for a text that is
                classified like a query. By default all are classified.

        Raises:
            JointSpaceError: a domain is unknown, or the numbers of texts and domains differ.
            QueryError: a text is not a string.
            PluginError: a plugin failed.
        """
        return self.join(texts, domains).vectors

    def join(self, texts: Iterable[str], domains: Iterable[str | None] | None = None) -> Joined:
        """The vectors of texts, and which texts have nothing that could be compared; see :meth:`encode_documents`."""
        limit = self.domains.settings.max_query_characters
        read = [clean(text)[:limit] for text in read_texts(texts, "texts")]
        declared = self._declared(domains, len(read))
        open_rows = [row for row, name in enumerate(declared) if name is None]
        weights: list[Weights] = [{name: 1.0} if name else {} for name in declared]
        found = self.domains.classifier.classify([read[row] for row in open_rows])
        for row, probabilities in zip(open_rows, found.probabilities, strict=True):
            weights[row] = self._weigh(probabilities)
        known = {(GENERAL, read[open_rows[number]]): vector for number, vector in found.embedded.items()}
        return self._sum(read, weights, known)

    def common_domain(self, texts: Sequence[str], among: Collection[str] = ()) -> str:
        """The domain of texts that belong together: the likeliest by the mean of their probabilities.

        Args:
            texts: at least one.
            among: domains to which they may belong; by default all, and ``general`` if none is likely enough.

        Raises:
            QueryError: a text is not a string.
            PluginError: a plugin failed.
        """
        limit, classifier = self.domains.settings.max_query_characters, self.domains.classifier
        read = [clean(text)[:limit] for text in read_texts(texts, "texts")]
        mean = np.asarray(classifier.classify(read).probabilities).mean(axis=0)
        if among:
            return max(among, key=lambda name: float(mean[classifier.domains.index(name)]))
        minimum = self.domains.settings.min_confidence
        return next(iter(likeliest(mean, classifier.domains, classifier.thresholds, minimum)))

    def _sum(self, texts: Sequence[str], weights: Sequence[Weights], known: Mapping[Pair, Vector]) -> Joined:
        """The direct sums; each encoder embeds each of its texts once.

        Args:
            texts: clean.
            weights: of each.
            known: vectors by encoder and text.
        """
        by = self.domains.encoded_by
        asked = dict.fromkeys((by[name], text) for text, each in zip(texts, weights, strict=True) for name in each)
        pairs = list(asked)
        encoded = self.domains.encode(pairs, {row: known[each] for row, each in enumerate(pairs) if each in known})
        unread = {each for each, part in zip(pairs, encoded.unread, strict=True) if part > MOST_UNREAD or not each[1]}
        vectors = {
            each: own_vector(each[1], len(vector)) if each in unread and each[1] else vector
            for each, vector in zip(pairs, encoded.vectors, strict=True)
        }
        joint = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in enumerate(texts):
            for name, weight in weights[row].items():
                part = vectors[by[name], text][: self.block]
                start = self._start[name]
                joint[row, start : start + len(part)] = np.sqrt(weight) / np.linalg.norm(part) * part
        nothing = [all((by[name], text) in unread for name in each) for text, each in zip(texts, weights, strict=True)]
        return Joined(joint, nothing)

    def _weigh(self, probabilities: NDArray[np.float64]) -> Weights:
        classifier = self.domains.classifier
        if self.top > 1:
            return likeliest_few(probabilities, classifier.domains, self.top)
        minimum = self.domains.settings.min_confidence
        return likeliest(probabilities, classifier.domains, classifier.thresholds, minimum)

    def _declared(self, domains: Iterable[str | None] | None, texts: int) -> Sequence[str | None]:
        if domains is None:
            return [None] * texts
        given = read_optional_texts(domains, "domains", "a text that is classified")
        if len(given) != texts:
            raise JointSpaceError(f"`domains`: expected one for every text: {texts} texts, {len(given)} domains")
        for name in given:
            if name is not None and name not in self._start:
                raise JointSpaceError(f"unknown domain {name!r}: expected {', '.join(self._start)}, or None")
        return given

    def _record(self) -> SpaceRecord:
        settings = self.domains.settings
        own = {each.name: each for each in self.domains.extra_domains}
        return SpaceRecord(
            blocks=tuple(
                Block(
                    domain=name,
                    model=self.domains.version(name),
                    digest=_digest(own[name]) if name in own else self.domains.artifacts[name],
                    runtime=self.domains.runtime(name),
                )
                for name in self.domains.names
            ),
            block_size=self.block,
            top=self.top,
            min_confidence=settings.min_confidence,
            target_precision=settings.target_precision,
            max_query_characters=settings.max_query_characters,
            plugins=tuple(
                f"plugin {each.name} of {each.source}"
                for each in self.domains.plugins.loaded()
                if each.source != OURS and _CHOOSING & set(each.hooks)
            ),
        )


def _digest(domain: UnmodelledDomain) -> str:
    """Of the examples of a domain without a model, whose vectors are those of ``general``."""
    return hashlib.sha256(json.dumps(domain.examples()).encode()).hexdigest()
