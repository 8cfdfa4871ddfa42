"""Batches as callers have them: lists, generators, columns of a table; and what they hold in place of a text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from registry.shared.texts import is_missing
from router_plugin.errors import QueryError


def one_text(value: Any, name: str) -> str:
    """The value, which must be text.

    Raises:
        QueryError: it is not.
    """
    if not isinstance(value, str):
        raise QueryError(not_text(name, value))
    return value


def read_batch(values: Any, name: str) -> list[Any]:
    """The values as a list, read once: a generator or a file can be read only once.

    Args:
        values: any iterable whose order means something: a list, a generator, an array, a column of a table.
        name: of the parameter, for errors.

    Raises:
        QueryError: it is one text, a mapping, a set, a table, or nothing that can be iterated.
    """
    if isinstance(values, (str, bytes, bytearray)):
        raise QueryError(f"`{name}`: a batch must be a list of texts, not one text")
    if isinstance(values, Mapping):
        raise QueryError(
            f"`{name}`: expected a list of texts, not {type(values).__name__}: give its keys or its values"
        )
    if isinstance(values, (set, frozenset)):
        raise QueryError(f"`{name}`: expected a list of texts, not {type(values).__name__}, which has no order")
    if getattr(values, "ndim", 1) != 1:  # numpy's arrays, pandas' tables
        raise QueryError(f"`{name}`: expected one column of texts, not {values.ndim} dimensions")
    if not isinstance(values, Iterable):
        raise QueryError(f"`{name}`: expected a list of texts, not {type(values).__name__}")
    return list(values)


def read_texts(values: Any, name: str) -> list[str]:
    """The texts of a batch; see :func:`read_batch`.

    Raises:
        QueryError: see :func:`read_batch`; or a value is not text, whose position the error names.
    """
    found = read_batch(values, name)
    for number, value in enumerate(found):
        if not isinstance(value, str):
            raise QueryError(not_text(f"{name}[{number}]", value))
    return found


def read_optional_texts(values: Any, name: str, without: str) -> list[str | None]:
    """The texts of a batch, some of which may be None.

    Args:
        values: see :func:`read_batch`.
        name: likewise.
        without: what None stands for, as ``a query that should get no route``.

    Raises:
        QueryError: see :func:`read_texts`; also for NaN and the like, which may be a mistake.
    """
    found = read_batch(values, name)
    for number, value in enumerate(found):
        if value is not None and not isinstance(value, str):
            raise QueryError(f"{not_text(f'{name}[{number}]', value)}; None stands for {without}")
    return found


def not_text(place: str, value: Any) -> str:
    """Says that a value is not text, and what it is."""
    return f"`{place}` must be text, not {type(value).__name__}{' (a missing value)' if is_missing(value) else ''}"
