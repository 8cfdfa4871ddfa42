"""Chooses rows by what a column holds: whole sources, whole kinds of question, whole years."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, PlainSerializer

from registry.texts.forms import collapsed
from training.errors import SourceError
from training.tables.cells import cell_text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SHOWN = 10


@dataclass(frozen=True)
class ColumnFilter:
    """Matches the rows with one of these values in this column."""

    column: str
    values: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> ColumnFilter:
        """A filter from ``COLUMN=VALUE,VALUE``.

        Raises:
            ValueError: the text is not of that form.
        """
        column, _, listed = text.partition("=")
        values = tuple(filter(None, map(collapsed, listed.split(","))))
        if not column.strip() or not values:
            raise ValueError("expected COLUMN=VALUE or COLUMN=VALUE,VALUE")
        return cls(collapsed(column), values)

    def __str__(self) -> str:
        return f"{self.column}={','.join(self.values)}"


def _parsed(value: Any) -> Any:
    return ColumnFilter.parse(value) if isinstance(value, str) else value


Filter = Annotated[ColumnFilter, BeforeValidator(_parsed), PlainSerializer(str, when_used="json")]
"""A filter as a field of options, which may be given as text."""


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
    import numpy as np

    chosen = np.zeros(len(rows), dtype=bool)
    for each in filters:
        values = [collapsed(cell_text(value) or value) for value in each.values]
        found = [None if value is None else collapsed(value) for value in (row.get(each.column) for row in rows)]
        known = sorted({value for value in found if value is not None})
        if not known:
            raise SourceError(f"`{parameter}` {each.column}: no row has that column with text or a number in it")
        for value in values:
            if value not in known:
                others = ", ".join(known[:_SHOWN]) + (" ..." if len(known) > _SHOWN else "")
                raise SourceError(f"`{parameter}` {each.column}={value}: no row has that value: found {others}")
        chosen |= np.array([value in values for value in found])
    return chosen
