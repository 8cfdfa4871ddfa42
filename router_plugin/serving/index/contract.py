"""What an index of candidates does, and the space that its vectors were made in."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import pydantic
from numpy.typing import NDArray

from router_plugin.contracts import MOST_UNREAD
from router_plugin.errors import CandidateIndexError
from router_plugin.utterances import Reading

ALL = "*"
"""Stands for the routes of all domains, where one encoder compares a query with all; no domain has this name."""
JOINT = "+"
"""Stands for a joint space, whose vectors are of all domains."""
PREFIX = "candidates_"
"""Before the identifier of a space in the name of its collection or table."""
BUILD = "domain-router index build"

_FORMAT = 1
"""Changes when a new version of this package writes something else for the same models."""
_DIGITS = 16


class Space(pydantic.BaseModel):
    """All that determines the vectors of a list of candidates. Those of two spaces are never compared.

    Attributes:
        domain: whose routes these are, or :data:`ALL`, or :data:`JOINT`.
        model: that embeds them, for people: ``medical@3``, or the base model's name.
        digest: of that model with all of its configuration; the identifier of a joint space.
        runtime: that it runs on. The vectors of two runtimes differ slightly.
    """

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    format: int = _FORMAT
    domain: str
    model: str
    digest: str
    runtime: str

    @property
    def identifier(self) -> str:
        """Hexadecimal digits of a digest of everything except the name of the model."""
        content = self.model_copy(update={"model": ""}).model_dump_json()
        return hashlib.sha256(content.encode()).hexdigest()[:_DIGITS]

    @property
    def place(self) -> str:
        """The name of its collection or table."""
        return f"{PREFIX}{self.identifier}"

    def __str__(self) -> str:
        of = {ALL: "all domains", JOINT: "a joint space"}.get(self.domain, f"domain {self.domain}")
        return f"{of} by {self.model} on {self.runtime} (space {self.identifier})"


class Entry(NamedTuple):
    """A candidate as it is stored.

    Attributes:
        id: see :func:`id_of`.
        vector: unit vector, ``(d,)``. That of a text that the encoder cannot read is not stored.
        reading: how the encoder reads the text; the key is a digest.
    """

    id: bytes
    vector: NDArray[np.float32]
    reading: Reading

    @property
    def readable(self) -> bool:
        """Whether it can be compared with anything."""
        return self.reading.unread <= MOST_UNREAD


class Hit(NamedTuple):
    """A candidate that was found, and its cosine with the query."""

    id: bytes
    cosine: float


class Held(NamedTuple):
    """A space of an index, and the number of its entries."""

    space: Space
    entries: int


class CandidateIndex(Protocol):
    """Candidates in a store, each space by itself. Safe to use from several threads.

    Every method raises CandidateIndexError where the store cannot be reached or refuses, where a read takes longer
    than its limit, and where an entry was written in another space than the one that is read.
    """

    store: str
    """Its address, without secrets."""

    def spaces(self) -> list[Held]:
        """What it holds."""

    def readings(self, space: Space, ids: Sequence[bytes]) -> dict[bytes, Reading]:
        """How the encoder reads those of these candidates that are stored."""

    def ids(self, space: Space) -> Iterator[list[bytes]]:
        """All candidates of a space, a page at a time."""

    def write(self, space: Space, entries: Sequence[Entry]) -> None:
        """Store candidates, at least one, or replace those of the ids; makes room for the space at the first ones."""

    def complete(self, space: Space) -> None:
        """Make searches fast, once everything is written."""

    def nearest(self, space: Space, vectors: NDArray[np.float32], limit: int) -> list[list[Hit]]:
        """The candidates nearest to each of ``n`` unit vectors, ``(n, d)``, the nearest first.

        Raises:
            CandidateIndexError: also where the space is not there; it names those of the domain that are.
        """

    def cosines(self, space: Space, vector: NDArray[np.float32], ids: Sequence[bytes]) -> list[Hit]:
        """Exact cosines of some candidates with a unit vector, ``(d,)``; those without a vector are left out."""

    def delete(self, space: Space, ids: Sequence[bytes]) -> None:
        """Remove candidates."""

    def drop(self, space: Space) -> None:
        """Remove a space with all of its candidates."""

    def close(self) -> None:
        """Release connections."""


def id_of(text: str) -> bytes:
    """The name of a candidate, 16 bytes: a digest of its clean text."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def check_written_in(space: Space, found: object, store: str) -> None:
    """Make sure that an entry was written in the space that is read.

    Raises:
        CandidateIndexError: it was written in another one.
    """
    if found != space.identifier:
        raise CandidateIndexError(
            f"{store}: {space.place} has vectors of space {found}, which cannot be compared with those of {space}: "
            f"remove it with 'domain-router index drop', then run '{BUILD}'"
        )


def absent(space: Space, held: Sequence[Held], store: str) -> CandidateIndexError:
    """Says that a space is not in the store, and which others of the domain are."""
    others = [str(each.space) for each in held if each.space.domain == space.domain]
    has = f"it has {', '.join(others)}" if others else "it has none of them by any model"
    return CandidateIndexError(f"{store} has no candidates of {space}; {has}: run '{BUILD}'")


def read_space(found: object) -> Space | None:
    """The space that a store has written down; None for what is no such record."""
    try:
        return Space.model_validate_json(found) if isinstance(found, str) else Space.model_validate(found)
    except pydantic.ValidationError:
        return None
