"""Rows that are kept for testing or choosing because of what a column says: whole sources, whole kinds of question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.errors import SourceError

_SHOWN = 10


@dataclass(frozen=True)
class HoldOut:
    """The rows with one of these values in this column."""

    column: str
    values: tuple[str, ...]


def parse_hold_out(text: str, option: str = "--hold-out") -> HoldOut:
    """Read ``COLUMN=VALUE,VALUE``, as given to an option.

    Raises:
        SourceError: it is not of that form.
    """
    column, _, listed = text.partition("=")
    values = tuple(value.strip() for value in listed.split(",") if value.strip())
    if not column.strip() or not values:
        raise SourceError(f"{option} {text}: expected COLUMN=VALUE or COLUMN=VALUE,VALUE")
    return HoldOut(column.strip(), values)


def held_out(
    rows: Sequence[Mapping[str, str]], hold_outs: Sequence[HoldOut], option: str = "--hold-out"
) -> NDArray[np.bool_] | None:
    """Which rows are held out, ``(n,)``; None where nothing is to be held out. See :func:`rows_with`."""
    return rows_with(rows, hold_outs, option) if hold_outs else None


def rows_with(rows: Sequence[Mapping[str, str]], wanted: Sequence[HoldOut], option: str) -> NDArray[np.bool_]:
    """Which rows have one of the values in one of the columns, ``(n,)``.

    Args:
        rows: columns of every row.
        wanted: columns with values.
        option: that said so.

    Raises:
        SourceError: a column or a value that no row has.
    """
    chosen = np.zeros(len(rows), dtype=bool)
    for each in wanted:
        found = [row.get(each.column) for row in rows]
        known = sorted({value for value in found if value is not None})
        if not known:
            raise SourceError(f"{option} {each.column}: no row has that column, or none that holds a plain value")
        for value in each.values:
            if value not in known:
                others = ", ".join(known[:_SHOWN]) + (" ..." if len(known) > _SHOWN else "")
                raise SourceError(f"{option} {each.column}={value}: no row has that value: found {others}")
        chosen |= np.array([value in each.values for value in found])
    return chosen
