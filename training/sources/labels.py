"""Labelled texts from a file or a Hugging Face data set, each once, every bad row reported with its place."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from training.errors import SourceError
from training.sources.column_filter import HoldOut, rows_with
from training.sources.part_column import part_field, with_parts
from training.sources.reading import BadRows, HubPart, column_named, plain_fields, plain_text, read_source, text_field

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
    """Other columns of its row that were asked for, and ``part``, as ``PARTS`` has it, where the row has one."""


L = TypeVar("L", bound=Labelled)


@dataclass
class Labels:
    """What a source held.

    Attributes:
        source: file or data set.
        texts: those with a label, in order, no two of them equal but for case.
        out_of_scope: rows without a label.
        repeated: rows whose text stands before with the same label.
        skipped: one line for each bad row.
        where: the rows that were asked for, if not all.
        set_aside: other rows and texts that were left out, or that others outvoted, by why.
    """

    source: str
    texts: list[Labelled] = field(default_factory=list)
    out_of_scope: int = 0
    repeated: int = 0
    skipped: list[str] = field(default_factory=list)
    where: HoldOut | None = None
    set_aside: dict[str, int] = field(default_factory=dict)


def read_labels(
    source: str,
    *,
    text: str | None = None,
    label: str | None = None,
    where: HoldOut | None = None,
    columns: Sequence[str] = (),
    hub_split: str = "train",
    hub_config: str | None = None,
    hub_revision: str | None = None,
    skip_bad: bool = False,
) -> Labels:
    """Read labelled texts. Where a column ``domain`` has a label in several domains, it is another label in each.

    Args:
        source: a JSONL, JSON, CSV, TSV or Parquet file, plain or ``.gz``, or the id of a Hub data set.
        text: the text's column; by default the first of ``TEXT_COLUMNS`` that the row has, in any case.
        label: the label's column; likewise of ``LABEL_COLUMNS``. A row that has null or nothing there is out of scope.
        where: only rows with one of these values in this column.
        columns: other columns to keep, as text; a row that lacks one, or holds no plain value there, goes without.
        hub_split: split of a Hub data set.
        hub_config: configuration of a Hub data set.
        hub_revision: revision of a Hub data set.
        skip_bad: count bad rows instead of stopping at the first.

    Raises:
        SourceError: the source cannot be read, a row is bad, or no row with a label is left. A row is bad, too, if its
            text stands before with another label, or if it has no part where others have one.
    """
    kept = (DOMAIN, *columns, *((where.column,) if where else ()))

    def labelled(place: str, fields: Mapping[str, Any]) -> Labelled:
        found = text_field(place, fields, text, TEXT_COLUMNS, "text")
        column = column_named(place, fields, label, LABEL_COLUMNS, "label")
        return Labelled(
            place,
            found,
            label_of(place, column, fields[column]),
            {**plain_fields(fields, kept), **part_field(place, fields)},
        )

    bad = BadRows(skip_bad)
    rows = read_source(source, labelled, bad, HubPart(hub_split, hub_config, hub_revision))
    return collect(source, _by_domain(rows), bad, where)


def _by_domain(rows: Sequence[Labelled]) -> list[Labelled]:
    """The rows, the domain put before a label that stands in several."""
    domains: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        domains[row.label].add(row.columns.get(DOMAIN, ""))
    return [
        replace(row, label=f"{row.columns.get(DOMAIN, '')}: {row.label}")
        if row.label and len(domains[row.label]) > 1
        else row
        for row in rows
    ]


def collect(source: str, rows: Sequence[Labelled], bad: BadRows, where: HoldOut | None = None) -> Labels:
    """Labels out of rows: those asked for, every text once.

    Raises:
        SourceError: a row is bad, or no row with a label is left; see :func:`read_labels`.
    """
    rows = chosen_rows(rows, where)
    inside = [row for row in rows if row.label]
    texts, repeated = _once(with_parts(inside, bad), bad)
    if not texts:
        raise SourceError(f"{source}: holds no row with a label: expected a text and its label in every row")
    return Labels(source, texts, len(rows) - len(inside), repeated, bad.lines, where)


def chosen_rows(rows: Sequence[L], where: HoldOut | None) -> list[L]:
    """The rows with one of the values in the column; all where none is asked for.

    Raises:
        SourceError: no row has that column or value.
    """
    if where is None:
        return list(rows)
    chosen = rows_with([row.columns for row in rows], (where,), "--where")
    return [row for row, wanted in zip(rows, chosen, strict=True) if wanted]


def label_of(place: str, name: str, value: Any) -> str:
    """A label that stands under a name as text; empty where nothing stands there.

    Raises:
        SourceError: it is neither text nor a whole number.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return plain_text(place, name, value)


def _once(rows: Sequence[Labelled], bad: BadRows) -> tuple[list[Labelled], int]:
    """Every text once, and how many rows repeat one."""
    seen: dict[str, Labelled] = {}
    repeated = 0
    for row in rows:
        first = seen.setdefault(row.text.casefold(), row)
        if first.label != row.label:
            bad.add(
                f"{row.place}: {row.text!r:.80} has the label {row.label!r}, but at {first.place} it has "
                f"{first.label!r}: expected one label for a text"
            )
        elif first is not row:
            repeated += 1
    return list(seen.values()), repeated
