"""Texts in sorted order, of which few are in memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.lazy_texts import sorting


@pytest.fixture(autouse=True, scope="module")
def small_blocks():  # type: ignore[no-untyped-def]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sorting, "BLOCK", 3)
        yield


@given(st.lists(st.text(max_size=3)))
def test_it_is_the_order_of_sorted(texts: list[str]) -> None:
    assert list(sorting.in_order(texts)) == sorted(texts)
