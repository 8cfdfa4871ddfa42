"""What a vector index must be able to do to be moved, and what it says of itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Item:
    """One entry of an index.

    Attributes:
        id: a number or a text.
        text: that its vector stands for.
        payload: what else is stored with it, the text included; empty where that lies in columns of a table.
    """

    id: Any
    text: str
    payload: Mapping[str, Any] = field(default_factory=dict)


class Found(NamedTuple):
    """An entry that a search found."""

    id: Any
    text: str


class State(NamedTuple):
    """How far a move is.

    Attributes:
        serving: the model whose vectors serve; None if they were not made by a move.
        next: the model whose vectors are being made; None without a move, and after the cutover.
        before: the model whose vectors served before the last cutover, or ``unknown``; None if they are gone.
        items: entries that serve.
        missing: entries without a vector of ``next``, or with one of another text; None without ``next``.
    """

    serving: str | None
    next: str | None
    before: str | None
    items: int
    missing: int | None


class Embedder(Protocol):
    """A model version that embeds texts."""

    model: str
    """A name that no other version has, like ``medical@3``."""

    dimension: int

    def documents(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors of indexed texts, ``(n, dimension)``."""

    def queries(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors of queries, ``(n, dimension)``."""


class Index(Protocol):
    """An index in its store. All that is known of a move lies in the store, so that any process can go on with it."""

    def state(self) -> State:
        """How far a move is; reads every entry."""

    def prepare(self, model: str, dimension: int) -> None:
        """Make room for the vectors of a model beside those that serve; goes on with a move to the same one."""

    def waiting(self, batch: int) -> Iterator[list[Item]]:
        """Entries without a vector of the next model, or with one of another text."""

    def write(self, items: Sequence[Item], vectors: Vectors) -> None:
        """Store vectors of the next model. An entry whose text has changed in between is left waiting."""

    def complete(self) -> None:
        """What is to be done once all vectors are there."""

    def search(self, vector: Vectors, limit: int, upcoming: bool) -> list[Found]:
        """The nearest entries, the nearest first; by the vectors of the next model, or by those that serve."""

    def upsert(self, items: Sequence[Item], by_model: Mapping[str, Vectors], others: Vectors | None) -> None:
        """Store entries with the vectors of both models.

        Args:
            items: new or changed.
            by_model: vectors of models that a move has named.
            others: vectors of the model that has no name yet.
        """

    def delete(self, ids: Sequence[Any]) -> None:
        """Remove entries on both sides."""

    def cut_over(self) -> None:
        """Serve the vectors of the next model, in one step."""

    def roll_back(self, force: bool) -> str:
        """Serve the earlier vectors again, or give up a move that did not serve; says in words what was done."""

    def finish(self) -> None:
        """Remove the earlier vectors."""
