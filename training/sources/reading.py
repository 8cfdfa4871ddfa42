"""Where training data comes from: rows of a file or a Hugging Face data set, and what their fields hold."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from registry.shared.wording import first_line
from training.errors import SourceError
from training.runs.progress import track
from training.sources.rows import SUFFIXES, Row, read_rows

T = TypeVar("T")

_SURROGATE = re.compile("[\ud800-\udfff]")
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


@dataclass(frozen=True)
class HubPart:
    """Which part of a Hub data set is read."""

    split: str = "train"
    config: str | None = None
    revision: str | None = None


@dataclass
class BadRows:
    """Bad rows: the first ends the reading, or each is noted and the next is read."""

    ADVICE: ClassVar[str] = " (--skip-bad goes on and counts such rows)"

    skip: bool
    lines: list[str] = field(default_factory=list)

    def add(self, fault: str) -> None:
        """
        Raises:
            SourceError: bad rows are not to be skipped.
        """
        if not self.skip:
            raise SourceError(f"{fault}{self.ADVICE}")
        self.lines.append(fault)


def read_source(source: str, parse: Callable[[str, Mapping[str, Any]], T], bad: BadRows, hub: HubPart) -> list[T]:
    """What ``parse`` makes of the place and the fields of every row.

    Args:
        source: a JSONL, JSON, CSV, TSV or Parquet file, plain or ``.gz``, or the id of a Hub data set.
        parse: raises ``SourceError`` for a bad row.
        bad: takes them.
        hub: the part of a Hub data set.

    Raises:
        SourceError: the source cannot be read, a row is bad, or no row is left.
    """
    found = []
    for row in track(_rows(source, hub), f"reading {Path(source).name}"):
        try:
            if row.fields is None:
                raise SourceError(f"{row.place}: {row.fault}")
            found.append(parse(row.place, row.fields))
        except SourceError as error:
            bad.add(str(error))
    if not found:
        first = f"; the first of {len(bad.lines)} bad ones: {bad.lines[0]}" if bad.lines else ""
        raise SourceError(f"{source}: holds no usable row{first}")
    return found


def text_field(place: str, fields: Mapping[str, Any], column: str | None, usual: Sequence[str], role: str) -> str:
    """The text of a column, white space collapsed.

    Args:
        place: of the row.
        fields: of the row.
        column: its name; by default the first of the usual ones that the row has, in any case.
        usual: see ``column``.
        role: what the text is, and the option that names its column.

    Raises:
        SourceError: there is no such column, or it holds no text.
    """
    name = column_named(place, fields, column, usual, role)
    return plain_text(place, name, fields[name])


def plain_text(place: str, name: str, value: Any) -> str:
    """A text that stands under a name, white space collapsed.

    Raises:
        SourceError: it is no text, or an empty one.
    """
    if not isinstance(value, str):
        raise SourceError(f"{place}: {name} is {type(value).__name__}: expected text")
    if _SURROGATE.search(value):
        raise SourceError(f"{place}: {name} holds half of a surrogate pair: expected Unicode text")
    text = " ".join(value.split())
    if not text:
        raise SourceError(f"{place}: {name} is empty: expected text")
    return text


def column_named(place: str, fields: Mapping[str, Any], column: str | None, usual: Sequence[str], role: str) -> str:
    """The name that a column has in a row; see :func:`text_field`."""
    name = column_found(fields, column, usual)
    if name is None:
        wanted = f"a column {column!r}" if column else f"one of {', '.join(usual)}"
        raise SourceError(
            f"{place}: no {role} column: expected {wanted}, found {', '.join(map(str, fields)) or 'none'}; "
            f"name it with --{role}"
        )
    return name


def column_found(fields: Mapping[str, Any], column: str | None, usual: Sequence[str]) -> str | None:
    """The name that a column has in a row, or None where the row lacks it; see :func:`text_field`."""
    name: str | None = column if column in fields else _named(fields, usual if column is None else (column,))
    return name


def plain_fields(fields: Mapping[str, Any], columns: Iterable[str]) -> dict[str, str]:
    """What some columns hold, as text; one that the row lacks, or that holds neither text nor a number, is left out."""
    found = {column: fields.get(column if column in fields else _named(fields, (column,))) for column in columns}
    return {column: str(value).strip() for column, value in found.items() if isinstance(value, (str, int, float))}


def _named(fields: Mapping[str, Any], names: Sequence[str]) -> Any:
    """The first of these names that is a field's, in any case; None where there is none."""
    by_name = {str(name).strip().casefold(): name for name in fields}
    return next((by_name[name.casefold()] for name in names if name.casefold() in by_name), None)


def _rows(source: str, hub: HubPart) -> Iterator[Row]:
    try:
        path = Path(source).expanduser()
        on_disk = path.exists()
    except (OSError, RuntimeError) as error:  # too long a name, no such user, ...
        raise SourceError(f"{source}: cannot be read: {error}") from error
    if on_disk or not _HUB_ID.fullmatch(source) or path.suffix.lower() in SUFFIXES:
        yield from read_rows(path)
    else:
        yield from _hub_rows(source, hub)


def _hub_rows(name: str, part: HubPart) -> Iterator[Row]:
    import datasets

    try:
        dataset = datasets.load_dataset(name, part.config, split=part.split, revision=part.revision)
    except Exception as error:
        raise SourceError(
            f"{name}: not found locally, and could not be downloaded from the Hugging Face Hub ({first_line(error)})"
        ) from error
    for number, fields in enumerate(dataset, 1):
        yield Row(f"{name}, split {part.split}, row {number}", dict(fields))
