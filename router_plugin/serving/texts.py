"""Checks the texts of a batch."""

from __future__ import annotations

from collections.abc import Sequence

from router_plugin.errors import QueryError


def check_batch(texts: Sequence[str]) -> None:
    """Make sure that a batch is one of texts.

    Raises:
        QueryError: it is one text, or something in it is none.
    """
    if isinstance(texts, str):
        raise QueryError("a batch must be a list of texts, not one text")
    for text in texts:
        if not isinstance(text, str):
            raise QueryError(f"a query must be text, not {type(text).__name__}")
