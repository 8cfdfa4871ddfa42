"""Sequences without items of their own: in all that is done with them, they are the lists that they stand for."""

from __future__ import annotations

import pickle
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.lazy_texts.sequences import Chained, Chosen

PARTS = st.lists(st.lists(st.text(max_size=3), max_size=4), max_size=4)
BOUND = st.none() | st.integers(-12, 12)
SLICES = st.builds(slice, BOUND, BOUND, st.none() | st.integers(-3, 3).filter(bool))


def assert_same(lazy: Sequence[str], items: list[str]) -> None:
    """Every access gives the same."""
    assert lazy == items and list(lazy) == items and len(lazy) == len(items)
    assert [lazy[place] for place in range(-len(items), len(items))] == items + items
    for place in (len(items), -len(items) - 1):
        with pytest.raises(IndexError):
            lazy[place]


@settings(max_examples=50)
@given(PARTS, SLICES, SLICES)
def test_chained_sequences_are_one(parts: list[list[str]], first: slice, second: slice) -> None:
    items = [text for part in parts for text in part]
    lazy = Chained(parts)
    assert_same(lazy, items)
    assert_same(lazy[first], items[first])
    assert_same(lazy[first][second], items[first][second])


@given(st.lists(st.text(max_size=3), min_size=1, max_size=6), st.lists(st.integers(0, 5), max_size=8), SLICES)
def test_chosen_items_come_in_the_order_of_their_places(items: list[str], places: list[int], part: slice) -> None:
    places = [place % len(items) for place in places]
    wanted = [items[place] for place in places]
    for lazy in (Chosen(items, places), Chosen(items, np.array(places, dtype=np.int64)), Chosen(items, iter(places))):
        assert_same(lazy, wanted)
        assert_same(lazy[part], wanted[part])
        assert_same(pickle.loads(pickle.dumps(lazy[part])), wanted[part])  # noqa: S301


def test_no_item_is_read_before_it_is_accessed() -> None:
    class Unreadable(list[str]):
        def __getitem__(self, place):  # type: ignore[no-untyped-def, override]
            raise AssertionError(place)

    texts = Chained([Unreadable("abc"), ["d"]])
    assert len(Chosen(texts[1:], [0, 2])[1:]) == 1
    assert Chosen(texts[1:], [0, 2])[1] == "d"


def test_a_sequence_of_other_items_is_another_one() -> None:
    lazy = Chained([["a"], ["b"]])
    assert lazy != ["a"] and lazy != ["a", "c"] and lazy != {"a", "b"} and lazy == Chosen(["b", "a"], [1, 0])
