"""What the name of a model means: a domain, one of its versions, or the joint space of all domains."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from registry import InvalidNameError, NotRegisteredError
from registry.names import parse_reference
from router_plugin.encoders.embedding import Vector
from router_plugin.errors import JointSpaceError
from router_plugin.joint_space.space import JOINT, JointSpace
from router_plugin.server.batcher import Work, tokens_of
from router_plugin.server.errors import LimitError, UnknownModelError
from router_plugin.serving.domains import ServedDomains

KEPT = 8
"""Spaces beside those of the served versions that stay open: other versions and dimensions, the last used."""


class Embedded(NamedTuple):
    """A text in a space.

    Attributes:
        vector: unit, ``(d,)``.
        tokens: that were read.
    """

    vector: Vector
    tokens: int


@dataclass(frozen=True)
class Space:
    """A vector space.

    Attributes:
        name: of the model.
        identifier: no other vector space has it: of another version, other dimensions, or on another runtime.
        dimension: of its vectors.
        work: embeds texts in it.
    """

    name: str
    identifier: str
    dimension: int
    work: Work


class Spaces:
    """The spaces of the served domains, and of other versions of theirs that somebody asks for."""

    def __init__(self) -> None:
        self._domains: ServedDomains | None = None
        self._known: OrderedDict[tuple[str, int | None], Space] = OrderedDict()
        self._opening = asyncio.Lock()

    async def find(self, domains: ServedDomains, name: str, dimensions: int | None) -> Space:
        """The space with a name.

        Args:
            domains: that are served now.
            name: ``medical``, ``medical@3`` or ``domain-routed``, or ``domain-routed@`` and the identifier of the joint
                space, which is refused where that has become another.
            dimensions: of its vectors; None for all.

        Raises:
            UnknownModelError: there is no such domain or version.
            LimitError: it cannot have so few or so many dimensions.
            DomainRouterError: its model cannot be loaded.
        """
        key = name, dimensions
        if domains is self._domains and key in self._known:
            self._known.move_to_end(key)
            return self._known[key]
        async with self._opening:
            if domains is not self._domains:
                self._domains = domains
                self._known.clear()
            if key not in self._known:
                self._known[key] = await asyncio.to_thread(_open, domains, name, dimensions)
                while len(self._known) > KEPT + 2 * len(domains.names):
                    self._known.popitem(last=False)
            return self._known[key]


def _open(domains: ServedDomains, name: str, dimensions: int | None) -> Space:
    domain, _, version = name.partition("@")
    if domain == JOINT:
        return _joint(domains, dimensions, version)
    if domain != name and not (domain in domains.names and domains.version(domain) == name):
        domains = _other_version(domains, name)
    if domain not in domains.names:
        raise UnknownModelError(f"unknown model {name!r}: expected {', '.join((*domains.names, JOINT))}", "model")
    full = domains.dimension(domain)
    if dimensions is not None and not 1 <= dimensions <= full:
        raise LimitError(f"`dimensions` {dimensions}: {name} has from 1 to {full}", "dimensions")
    size = dimensions or full

    def embed(texts: Sequence[str]) -> list[Embedded]:
        found = domains.encode([(domain, text) for text in texts], {})
        read = zip(texts, found.vectors, found.keys, strict=True)
        return [Embedded(_shortened(vector, size), _tokens(key, text)) for text, vector, key in read]

    identity = f"{domains.encoder_id(domain)} {domains.runtime(domain)}"
    key = ("embed", identity, size)
    return Space(name, _identifier(domains.version(domain), identity, size), size, Work(f"embed {domain}", key, embed))


def _other_version(domains: ServedDomains, name: str) -> ServedDomains:
    try:
        if parse_reference(name).version is None:
            raise UnknownModelError(f"unknown model {name!r}: expected a domain, or a version like medical@3", "model")
        return domains.with_version(domains.registered(name))
    except (InvalidNameError, NotRegisteredError) as error:
        raise UnknownModelError(f"unknown model {name!r}: no such version is registered", "model") from error


def _joint(domains: ServedDomains, dimensions: int | None, identifier: str) -> Space:
    blocks = len(domains.names)
    if dimensions is not None and dimensions % blocks:
        raise LimitError(
            f"`dimensions` {dimensions}: {JOINT} has {blocks} parts of equal size, so expected a multiple of {blocks}",
            "dimensions",
        )
    try:
        space = JointSpace(domains, dims=dimensions and dimensions // blocks)
    except JointSpaceError as error:
        raise LimitError(f"`dimensions` {dimensions}: {error}", "dimensions") from error
    if identifier not in ("", space.identifier):
        raise UnknownModelError(
            f"the joint space is no longer {JOINT}@{identifier} but {JOINT}@{space.identifier}: embed all texts again",
            "model",
        )

    def embed(texts: Sequence[str]) -> list[Embedded]:
        vectors = space.encode_queries(texts)
        return [Embedded(vector, tokens_of(text)) for vector, text in zip(vectors, texts, strict=True)]

    return Space(JOINT, space.identifier, space.dimension, Work("embed jointly", ("embed", space.identifier), embed))


def _shortened(vector: Vector, size: int) -> NDArray[np.float32]:
    """The leading dimensions, of unit length again (Kusupati et al., 2022, "Matryoshka Representation Learning")."""
    if len(vector) == size:
        return vector
    part: NDArray[np.float32] = vector[:size] / max(float(np.linalg.norm(vector[:size])), 1e-12)
    return part


def _tokens(key: Hashable, text: str) -> int:
    """Tokens of a text, which are its key for the built-in encoders."""
    return len(key) if isinstance(key, tuple) else tokens_of(text)


def _identifier(version: str, identity: str, size: int) -> str:
    return f"{version}-{hashlib.sha256(f'{identity} {size}'.encode()).hexdigest()[:12]}"
