"""Options of kinds of sources: their columns, and which rows are read."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from registry.shared.options import Options, Shown
from training.errors import SourceError
from training.tables.column_filter import Filter

_USUAL = Shown(default="the usual names")


class SourceOptions(Options):
    """Options of kinds of sources. A kind lists the names of those that its reader takes."""

    error = SourceError

    question: Annotated[str | None, Field(description="Pairs, triplets: column of the question."), _USUAL] = None
    answer: Annotated[str | None, Field(description="Pairs, triplets: column of the answer."), _USUAL] = None
    negative: Annotated[
        tuple[str, ...],
        Field(description="Triplets: column of a wrong answer."),
        Shown(default="the usual names", metavar="<str>"),
    ] = ()
    unlabelled: Annotated[
        str | None, Field(description="Pairs: a source of questions without answers, for a relevance judge.")
    ] = None
    text: Annotated[str | None, Field(description="Labels, logs: column of the text."), _USUAL] = None
    label: Annotated[str | None, Field(description="Labels, logs: column of the label or route."), _USUAL] = None
    accepted: Annotated[
        str | None, Field(description="Logs: column that says whether the route was right."), _USUAL
    ] = None
    corrected: Annotated[str | None, Field(description="Logs: column of the right route."), _USUAL] = None
    where: Annotated[
        Filter | None,
        Field(description="Labels, routes, logs: read only the rows with these values."),
        Shown(default="all rows", metavar="COLUMN=VALUE,VALUE", joined=True),
    ] = None

    def given(self) -> dict[str, object]:
        """The options that are given, by name."""
        return {name: value for name, value in self if value not in (None, ())}
