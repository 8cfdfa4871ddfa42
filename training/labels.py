"""Labelled texts from a file or a Hugging Face data set, each once, every bad row reported with its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from training.errors import SourceError
from training.holding_out import HoldOut, rows_with
from training.sources import BadRows, HubPart, column_named, plain_fields, read_source, text_field

TEXT_COLUMNS = ("text", "query", "question", "utterance")
LABEL_COLUMNS = ("label", "intent", "category", "route", "class")
PART = "part"
PARTS = {"train": "train", "dev": "dev", "val": "dev", "validation": "dev", "test": "test"}


@dataclass(frozen=True)
class Labelled:
    """A text, white space collapsed, its place, and its label, which is empty where the text is out of scope."""

    place: str
    text: str
    label: str
    columns: Mapping[str, str] = field(default_factory=dict)
    """Other columns of its row that were asked for, and ``part``, as ``PARTS`` has it, where the row has one."""


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
    """

    source: str
    texts: list[Labelled] = field(default_factory=list)
    out_of_scope: int = 0
    repeated: int = 0
    skipped: list[str] = field(default_factory=list)
    where: HoldOut | None = None


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
    """Read labelled texts.

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
    kept = (*columns, where.column) if where else columns

    def labelled(place: str, fields: Mapping[str, Any]) -> Labelled:
        found = text_field(place, fields, text, TEXT_COLUMNS, "text")
        return Labelled(
            place, found, _label(place, fields, label), {**plain_fields(fields, kept), **_part(place, fields)}
        )

    bad = BadRows(skip_bad)
    rows = read_source(source, labelled, bad, HubPart(hub_split, hub_config, hub_revision))
    if where:
        chosen = rows_with([row.columns for row in rows], (where,), "--where")
        rows = [row for row, wanted in zip(rows, chosen, strict=True) if wanted]
    inside = [row for row in rows if row.label]
    texts, repeated = _once(_with_parts(inside, bad), bad)
    if not texts:
        raise SourceError(f"{source}: holds no row with a label: expected a text and its label in every row")
    return Labels(source, texts, len(rows) - len(inside), repeated, bad.lines, where)


def _label(place: str, fields: Mapping[str, Any], column: str | None) -> str:
    name = column_named(place, fields, column, LABEL_COLUMNS, "label")
    value = fields[name]
    if value is None or (isinstance(value, str) and not value.strip()):
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return text_field(place, fields, name, (), "label")


def _part(place: str, fields: Mapping[str, Any]) -> dict[str, str]:
    found = plain_fields(fields, (PART,)).get(PART)
    if found is None:
        return {}
    if found.casefold() not in PARTS:
        raise SourceError(
            f"{place}: {PART} is {found!r}: expected {', '.join(PARTS)}; name the column otherwise if it is no split"
        )
    return {PART: PARTS[found.casefold()]}


def _with_parts(rows: Sequence[Labelled], bad: BadRows) -> list[Labelled]:
    """Those with a part, where one has one; else all."""
    first = next((row for row in rows if PART in row.columns), None)
    if first is None:
        return list(rows)
    for row in rows:
        if PART not in row.columns:
            bad.add(f"{row.place}: has no {PART}, but {first.place} has one: expected {', '.join(PARTS)}")
    return [row for row in rows if PART in row.columns]


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
