"""Labelled texts from a file or a Hugging Face data set, each once, every bad row reported with its place."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from registry.paths import PathLike
from registry.texts.forms import text_key
from training.errors import SourceError
from training.tables.cells import cell_text, is_empty
from training.tables.column_filter import ColumnFilter, matching_rows
from training.tables.options import DEFAULTS, ReadOptions
from training.tables.part_column import part_field, with_parts
from training.tables.reading import BadRows, column_named, plain_fields, plain_text, read_source, text_field

TEXT_COLUMNS = ("text", "query", "question", "utterance")
DOMAIN = "domain"
LABEL_COLUMNS = ("label", "intent", "category", "route", "class")


@dataclass(frozen=True)
class Labelled:
    """A text, white space collapsed, its place, and its label, which is empty where the text is out of scope."""

    place: str
    text: str
    label: str
    columns: Mapping[str, str] = field(default_factory=dict)
    """The additional columns of its row that are kept, and ``part``, spelt as in ``PARTS``, where the row has one."""


L = TypeVar("L", bound=Labelled)


@dataclass
class Labels:
    """The labelled texts of a source.

    Attributes:
        source: file or data set.
        texts: those with a label, in order, each once whatever its case and normal form.
        out_of_scope: number of rows without a label.
        repeated: number of rows that repeat an earlier text with the same label.
        skipped: one line for each bad row.
        where: which rows were read, if not all.
        set_aside: number of other rows and texts that were left out or outvoted, by reason.
    """

    source: str
    texts: list[Labelled] = field(default_factory=list)
    out_of_scope: int = 0
    repeated: int = 0
    skipped: list[str] = field(default_factory=list)
    where: ColumnFilter | None = None
    set_aside: dict[str, int] = field(default_factory=dict)


def read_labels(
    source: PathLike,
    options: ReadOptions = DEFAULTS,
    *,
    text: str | None = None,
    label: str | None = None,
    where: ColumnFilter | None = None,
) -> Labels:
    """Read labelled texts. With a column ``domain``, a label that occurs in several domains is a different one in each.

    Args:
        source: a JSONL, JSON, CSV, TSV or Parquet file, plain or ``.gz``, or the id of a Hub data set.
        options: for reading.
        text: the text's column; by default the first of ``TEXT_COLUMNS`` that the row has, in any case.
        label: the label's column; likewise of ``LABEL_COLUMNS``. A row with an empty or null label is out of scope.
        where: read only the rows that match.

    Raises:
        SourceError: the source cannot be read, a row is bad, or no row with a label is left. A row is also bad if
            an earlier row gives its text another label, or if it has no part and other rows have one.
    """
    source = os.fspath(source)
    kept = (DOMAIN, *options.columns, *((where.column,) if where else ()))

    def labelled(place: str, fields: Mapping[str, Any]) -> Labelled:
        found = text_field(place, fields, text, TEXT_COLUMNS, "text")
        column = column_named(place, fields, label, LABEL_COLUMNS, "label")
        return Labelled(
            place,
            found,
            label_of(place, column, fields[column]),
            {**plain_fields(fields, kept), **part_field(place, fields)},
        )

    bad = BadRows(options.skip_bad)
    rows = read_source(source, labelled, bad, options)
    return collect(source, _by_domain(rows), bad, where)


def _by_domain(rows: Sequence[Labelled]) -> list[Labelled]:
    """The rows, with the domain prefixed to labels that occur in several."""
    domains: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        domains[row.label].add(row.columns.get(DOMAIN, ""))
    return [
        replace(row, label=f"{row.columns.get(DOMAIN, '')}: {row.label}")
        if row.label and len(domains[row.label]) > 1
        else row
        for row in rows
    ]


def collect(source: str, rows: Sequence[Labelled], bad: BadRows, where: ColumnFilter | None = None) -> Labels:
    """Collect labelled texts from rows: those that match ``where``, each text once.

    Raises:
        SourceError: a row is bad, or no row with a label is left; see :func:`read_labels`.
    """
    rows = chosen_rows(rows, where)
    inside = [row for row in rows if row.label]
    texts, repeated = _once(with_parts(inside, bad), bad)
    if not texts:
        raise SourceError(f"{source}: no row has a label: expected a text and its label in every row")
    return Labels(source, texts, len(rows) - len(inside), repeated, bad.lines, where)


def chosen_rows(rows: Sequence[L], where: ColumnFilter | None) -> list[L]:
    """The rows that match; all rows without a filter.

    Raises:
        SourceError: no row has that column or value.
    """
    if where is None:
        return list(rows)
    chosen = matching_rows([row.columns for row in rows], (where,), "where")
    return [row for row, wanted in zip(rows, chosen, strict=True) if wanted]


def label_of(place: str, name: str, value: Any) -> str:
    """The label in a column of a row, as text; empty if the column is.

    Raises:
        SourceError: it is no text, number or truth value.
    """
    if is_empty(value):
        return ""
    return plain_text(place, name, cell_text(value) or value)


def _once(rows: Sequence[Labelled], bad: BadRows) -> tuple[list[Labelled], int]:
    """Every text once, and the number of rows that repeat one."""
    seen: dict[str, Labelled] = {}
    repeated = 0
    for row in rows:
        first = seen.setdefault(text_key(row.text), row)
        if first.label != row.label:
            bad.add(
                f"{row.place}: {row.text!r:.80} has the label {row.label!r}, but at {first.place} it has "
                f"{first.label!r}: expected one label for a text"
            )
        elif first is not row:
            repeated += 1
    return list(seen.values()), repeated
