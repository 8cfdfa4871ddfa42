"""The column ``part`` of a source, which assigns its rows to training, dev and test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar

from training.errors import SourceError
from training.tables.reading import BadRows, plain_fields

PART = "part"
PARTS = {"train": "train", "dev": "dev", "val": "dev", "validation": "dev", "test": "test"}


class Placed(Protocol):
    """What is read from a row."""

    @property
    def place(self) -> str:
        """File and line of the row."""

    @property
    def columns(self) -> Mapping[str, str]:
        """Columns of the row, including ``part`` if it has one."""


P = TypeVar("P", bound=Placed)


def part_field(place: str, fields: Mapping[str, Any]) -> dict[str, str]:
    """The column ``part``, spelt as in ``PARTS``; nothing if the row has none.

    Raises:
        SourceError: it names no part.
    """
    found = plain_fields(fields, (PART,)).get(PART)
    if found is None:
        return {}
    if found.casefold() not in PARTS:
        raise SourceError(
            f"{place}: {PART} is {found!r}: expected {', '.join(PARTS)}; rename the column if it holds something else"
        )
    return {PART: PARTS[found.casefold()]}


def with_parts(rows: Sequence[P], bad: BadRows) -> list[P]:
    """The rows that have a part; all rows if none has one."""
    first = next((row for row in rows if PART in row.columns), None)
    if first is None:
        return list(rows)
    for row in rows:
        if PART not in row.columns:
            bad.add(f"{row.place}: has no {PART}, but {first.place} has one: expected {', '.join(PARTS)}")
    return [row for row in rows if PART in row.columns]
