"""Chooses rows by what a column holds: whole sources, whole kinds of question, whole years."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.errors import SourceError

_SHOWN = 10


@dataclass(frozen=True)
class ColumnFilter:
    """Matches the rows with one of these values in this column."""

    column: str
    values: tuple[str, ...]


def parse_column_filter(text: str, parameter: str) -> ColumnFilter:
    """Parse ``COLUMN=VALUE,VALUE``.

    Args:
        text: to parse.
        parameter: that it was given for, for the error message.

    Raises:
        SourceError: it is not of that form.
    """
    column, _, listed = text.partition("=")
    values = tuple(value.strip() for value in listed.split(",") if value.strip())
    if not column.strip() or not values:
        raise SourceError(f"`{parameter}` {text}: expected COLUMN=VALUE or COLUMN=VALUE,VALUE")
    return ColumnFilter(column.strip(), values)


def matching_rows(
    rows: Sequence[Mapping[str, str]], filters: Sequence[ColumnFilter], parameter: str
) -> NDArray[np.bool_]:
    """Which rows match one of the filters, ``(n,)``.

    Args:
        rows: columns of every row.
        filters: to match.
        parameter: that they were given for, for the error message.

    Raises:
        SourceError: no row has the column or the value of a filter.
    """
    chosen = np.zeros(len(rows), dtype=bool)
    for each in filters:
        found = [row.get(each.column) for row in rows]
        known = sorted({value for value in found if value is not None})
        if not known:
            raise SourceError(f"`{parameter}` {each.column}: no row has that column with text or a number in it")
        for value in each.values:
            if value not in known:
                others = ", ".join(known[:_SHOWN]) + (" ..." if len(known) > _SHOWN else "")
                raise SourceError(f"`{parameter}` {each.column}={value}: no row has that value: found {others}")
        chosen |= np.array([value in each.values for value in found])
    return chosen
