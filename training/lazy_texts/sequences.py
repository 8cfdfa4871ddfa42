"""Sequences that hold no items of their own: those at some places of another sequence, and several as one."""

from __future__ import annotations

from abc import abstractmethod
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, chain
from operator import eq
from typing import TypeVar, overload

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")


class LazySequence(Sequence[T]):
    """A sequence that reads an item when it is accessed, and whose slices do so, too.

    It equals every sequence of the same items.
    """

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]

    @abstractmethod
    def item(self, place: int) -> T:
        """The item at a place from 0 on, which is there."""

    @overload
    def __getitem__(self, place: int) -> T: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[T]: ...

    def __getitem__(self, place: int | slice) -> T | Sequence[T]:
        if isinstance(place, slice):
            return self.part(place)
        return self.item(range(len(self))[place])

    def part(self, places: slice) -> Sequence[T]:
        """A slice, which reads its items when they are accessed."""
        return Chosen(self, range(len(self))[places])

    def __iter__(self) -> Iterator[T]:
        return map(self.item, range(len(self)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(map(eq, self, other))


class Chosen(LazySequence[T]):
    """The items at some places of a sequence."""

    __slots__ = ("_items", "_places")

    def __init__(self, items: Sequence[T], places: range | Iterable[int] | NDArray[np.int64]) -> None:
        """
        Args:
            items: the sequence.
            places: from 0 on, in any order; a place may come several times.
        """
        self._items = items
        self._places = places if isinstance(places, range | np.ndarray) else np.array([*places], dtype=np.int64)

    def __len__(self) -> int:
        return len(self._places)

    def item(self, place: int) -> T:
        """See :class:`LazySequence`."""
        return self._items[int(self._places[place])]

    def part(self, places: slice) -> Sequence[T]:
        """See :class:`LazySequence`."""
        return Chosen(self._items, self._places[places])


class Chained(LazySequence[T]):
    """Several sequences, one after the other."""

    __slots__ = ("_ends", "_parts")

    def __init__(self, parts: Iterable[Sequence[T]]) -> None:
        """
        Args:
            parts: the sequences.
        """
        self._parts = list(parts)
        self._ends = list(accumulate(map(len, self._parts)))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def item(self, place: int) -> T:
        """See :class:`LazySequence`."""
        part = bisect_right(self._ends, place)
        return self._parts[part][place - self._ends[part]]

    def __iter__(self) -> Iterator[T]:
        return chain.from_iterable(self._parts)
