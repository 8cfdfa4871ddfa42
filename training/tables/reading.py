"""Reads the rows of a file or of a Hugging Face data set, and the texts in their fields."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from registry.paths import is_path, local_path
from registry.shared.wording import first_line
from registry.texts.forms import collapsed, text_key, visible
from training.errors import SourceError
from training.runs.progress import track
from training.tables.arrow_rows import BATCH, hub_rows
from training.tables.cells import Row, cell_text, is_empty
from training.tables.options import DEFAULTS, ReadOptions
from training.tables.rows import SUFFIXES, read_rows

T = TypeVar("T")

_SURROGATE = re.compile("[\ud800-\udfff]")
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


@dataclass
class BadRows:
    """Bad rows: reading stops at the first one, or skips and counts them all."""

    ADVICE: ClassVar[str] = " (`skip_bad` skips and counts such rows)"

    skip: bool
    lines: list[str] = field(default_factory=list)

    def add(self, fault: str) -> None:
        """Count a bad row.

        Raises:
            SourceError: bad rows are not skipped.
        """
        if not self.skip:
            raise SourceError(f"{fault}{self.ADVICE}")
        self.lines.append(fault)


def read_source(
    source: str, parse: Callable[[str, Mapping[str, Any]], T], bad: BadRows, options: ReadOptions = DEFAULTS
) -> list[T]:
    """Read every row with ``parse``, which is called with the row's place and fields.

    Args:
        source: a JSONL, JSON, CSV, TSV or Parquet file, plain or ``.gz``, or the id of a Hub data set.
        parse: raises ``SourceError`` for a bad row.
        bad: collects bad rows.
        options: which part of a Hub data set to read.

    Raises:
        SourceError: the source cannot be read, a row is bad, or no row is left.
    """
    found = list(parsed(source, source_rows(source, options), parse, bad))
    if not found:
        raise nothing_usable(source, bad)
    return found


def parsed(source: str, rows: Iterator[Row], parse: Callable[[str, Mapping[str, Any]], T], bad: BadRows) -> Iterator[T]:
    """The same row by row, of which only one is in memory; here a source may have no usable row."""
    for row in track(rows, f"reading {Path(source).name}"):
        try:
            if row.fields is None:
                raise SourceError(f"{row.place}: {row.fault}")
            found = parse(row.place, row.fields)
        except SourceError as error:
            bad.add(str(error))
        else:
            yield found


def nothing_usable(source: str, bad: BadRows) -> SourceError:
    """The error for a source without a usable row."""
    first = f"; the first of {len(bad.lines)} bad rows: {bad.lines[0]}" if bad.lines else ""
    return SourceError(f"{source}: no usable row found{first}")


def text_field(place: str, fields: Mapping[str, Any], column: str | None, usual: Sequence[str], role: str) -> str:
    """The text of a column, in normal form C, white space collapsed.

    Args:
        place: of the row.
        fields: of the row.
        column: its name; by default the first of the usual names that the row has, in any case.
        usual: the usual names.
        role: what the text is, and the parameter that names its column.

    Raises:
        SourceError: the column is missing, or holds no text.
    """
    name = column_named(place, fields, column, usual, role)
    return plain_text(place, name, fields[name])


def plain_text(place: str, name: str, value: Any) -> str:
    """The text in a column of a row, in normal form C, white space collapsed.

    Raises:
        SourceError: it is not text, or empty, or stands for a missing value.
    """
    if isinstance(value, bytes):  # as some programs write text into Parquet
        value = _decoded(value)
    if not isinstance(value, str):
        raise SourceError(f"{place}: {name} is {type(value).__name__}: expected text")
    if _SURROGATE.search(value):
        raise SourceError(f"{place}: {name} holds half of a surrogate pair: expected Unicode text")
    text = collapsed(value)
    if not visible(text).strip():
        raise SourceError(f"{place}: {name} is empty: expected text")
    if is_empty(text):
        raise SourceError(f"{place}: {name} is {text!r}, as programs write a missing value: expected text")
    return text


def _decoded(value: bytes) -> str | bytes:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def column_named(place: str, fields: Mapping[str, Any], column: str | None, usual: Sequence[str], role: str) -> str:
    """The name that a column has in a row; see :func:`text_field`."""
    name = column_found(fields, column, usual)
    if name is None:
        wanted = f"a column {column!r}" if column else f"one of {', '.join(usual)}"
        raise SourceError(
            f"{place}: no {role} column: expected {wanted}, found {', '.join(map(str, fields)) or 'none'}; "
            f"name it with `{role}`"
        )
    return name


def column_found(fields: Mapping[str, Any], column: str | None, usual: Sequence[str]) -> str | None:
    """The name that a column has in a row, or None if the row has no such column; see :func:`text_field`."""
    name: str | None = column if column in fields else _named(fields, usual if column is None else (column,))
    return name


def plain_fields(fields: Mapping[str, Any], columns: Iterable[str]) -> dict[str, str]:
    """Some columns as text, see :func:`cell_text`, without those that the row lacks or that hold no such value."""
    found = {column: fields.get(column if column in fields else _named(fields, (column,))) for column in columns}
    texts = {column: cell_text(value) for column, value in found.items()}
    return {column: collapsed(text) for column, text in texts.items() if text is not None}


def _named(fields: Mapping[str, Any], names: Sequence[str]) -> Any:
    """The first of these names that a field has, in any case; None if no field has one."""
    by_name = {text_key(str(name)): name for name in fields}
    return next((by_name[key] for key in map(text_key, names) if key in by_name), None)


def source_rows(source: str, options: ReadOptions = DEFAULTS) -> Iterator[Row]:
    """The rows of a file on this machine, or of a Hub data set; see :func:`read_source`."""
    path = local_path(source, SourceError)
    try:
        on_disk = path.exists()
    except OSError as error:  # too long a name
        raise SourceError(f"{source}: cannot be read: {error}") from error
    if on_disk and (hub := options.hub()):
        raise SourceError(f"`{hub[0]}` cannot be used with {source}, a local file")
    if on_disk or is_path(source) or not _HUB_ID.fullmatch(source) or path.suffix.lower() in SUFFIXES:
        yield from read_rows(path)
    else:
        yield from _hub_rows(source, options)


def _hub_rows(name: str, options: ReadOptions) -> Iterator[Row]:
    import datasets

    split = options.hub_split or "train"
    try:
        dataset = datasets.load_dataset(name, options.hub_config, split=split, revision=options.hub_revision)
    except Exception as error:
        raise SourceError(
            f"{name}: not found locally, and could not be downloaded from the Hugging Face Hub ({first_line(error)})"
        ) from error
    yield from hub_rows(f"{name}, split {split}", dataset.with_format("arrow").iter(BATCH))
