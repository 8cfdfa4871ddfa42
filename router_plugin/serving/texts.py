"""Queries as they are given and as they are routed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from registry.shared.texts import clean
from router_plugin.errors import QueryError
from router_plugin.plugins.manager import Plugins


@dataclass(frozen=True)
class QueryText:
    """A query.

    Attributes:
        query: as it was given.
        text: as it is routed: as plugins left it, cleaned and cut. May be empty.
        cut: whether it was cut.
    """

    query: str
    text: str
    cut: bool


def read_queries(queries: Sequence[str], limit: int, plugins: Plugins) -> list[QueryText]:
    """The queries as they are routed.

    Args:
        queries: any number.
        limit: characters after which a query is cut.
        plugins: may replace a query, by the hook ``before_route``.

    Raises:
        QueryError: see :func:`check_batch`.
        PluginError: a plugin failed.
    """
    check_batch(queries)
    return [_read(query, limit, plugins) for query in queries]


def _read(query: str, limit: int, plugins: Plugins) -> QueryText:
    query = str.__str__(query)  # exactly the type that plugins must answer with: numpy's strings are subclasses
    whole = clean(plugins.filter("before_route", "query", query))
    return QueryText(query, whole[:limit], len(whole) > limit)


def check_batch(texts: Sequence[str]) -> None:
    """Make sure that a batch is a sequence of texts.

    Raises:
        QueryError: it is a single text, or has an element that is not text.
    """
    if isinstance(texts, str):
        raise QueryError("a batch must be a list of texts, not one text")
    for text in texts:
        if not isinstance(text, str):
            raise QueryError(f"a query must be text, not {type(text).__name__}")
