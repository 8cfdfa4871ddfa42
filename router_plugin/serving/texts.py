"""Queries as they are given and as they are routed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from registry.shared.texts import clean
from registry.texts.forms import text_key
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


def as_routed(queries: Sequence[str], limit: int, plugins: Plugins) -> list[QueryText]:
    """The queries as they are routed.

    Args:
        queries: any number.
        limit: characters after which a query is cut.
        plugins: may replace a query, by the hook ``before_route``.

    Raises:
        PluginError: a plugin failed.
    """
    return [_as_routed(query, limit, plugins) for query in queries]


def _as_routed(query: str, limit: int, plugins: Plugins) -> QueryText:
    query = str.__str__(query)  # exactly the type that plugins must answer with: numpy's strings are subclasses
    whole = clean(plugins.filter("before_route", "query", query))
    return QueryText(query, whole[:limit], len(whole) > limit)


def same_text(text: str) -> str:
    """Equal for texts that are the same text, see :func:`registry.texts.forms.text_key`; also if none of it is seen."""
    return text_key(text) or text
