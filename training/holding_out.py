"""Pairs that are kept for testing or choosing because of what a column says: whole sources, whole kinds of question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.errors import SourceError
from training.pairs import Pair

_SHOWN = 10


@dataclass(frozen=True)
class HoldOut:
    """The pairs with one of these values in this column."""

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
    pairs: Sequence[Pair], hold_outs: Sequence[HoldOut], option: str = "--hold-out"
) -> NDArray[np.bool_] | None:
    """Which pairs are held out, ``(n,)``: those with one of the values in one of the columns. None where
    nothing is to be held out.

    Raises:
        SourceError: a column or a value that no pair has.
    """
    if not hold_outs:
        return None
    held = np.zeros(len(pairs), dtype=bool)
    for hold_out in hold_outs:
        found = [pair.columns.get(hold_out.column) for pair in pairs]
        known = sorted({value for value in found if value is not None})
        if not known:
            raise SourceError(f"{option} {hold_out.column}: no row has that column, or none that holds a plain value")
        for value in hold_out.values:
            if value not in known:
                others = ", ".join(known[:_SHOWN]) + (" ..." if len(known) > _SHOWN else "")
                raise SourceError(f"{option} {hold_out.column}={value}: no row has that value: found {others}")
        held |= np.array([value in hold_out.values for value in found])
    return held
