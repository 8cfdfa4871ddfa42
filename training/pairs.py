"""Question-answer pairs from a file or a Hugging Face data set, every bad row reported with its place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from training.errors import SourceError
from training.progress import track
from training.rows import SUFFIXES, Row, read_rows

QUESTION_COLUMNS = ("question", "query", "q", "prompt", "instruction", "input", "anchor")
ANSWER_COLUMNS = (
    "answer",
    "response",
    "a",
    "passage",
    "positive",
    "context",
    "output",
    "completion",
    "document",
)

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


@dataclass(frozen=True)
class Pair:
    """A question and the text that answers it, white space collapsed."""

    question: str
    answer: str
    columns: Mapping[str, str] = field(default_factory=dict, compare=False)
    """Other columns of its row that were asked for."""


@dataclass
class Pairs:
    """What a source held: the good pairs in order, and one line for each row that was skipped."""

    source: str
    pairs: list[Pair] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


def read_pairs(
    source: str,
    *,
    question: str | None = None,
    answer: str | None = None,
    columns: Sequence[str] = (),
    hub_split: str = "train",
    hub_config: str | None = None,
    hub_revision: str | None = None,
    skip_bad: bool = False,
) -> Pairs:
    """Read question-answer pairs.

    Args:
        source: a JSONL, JSON, CSV, TSV or Parquet file, plain or ``.gz``, or the id of a Hub data set.
        question: the question's column; by default the first of ``QUESTION_COLUMNS`` that the row has, in any case.
        answer: the answer's column; likewise of ``ANSWER_COLUMNS``.
        columns: other columns to keep, as text; a row that lacks one, or holds no plain value there, goes without.
        hub_split: split of a Hub data set.
        hub_config: configuration of a Hub data set.
        hub_revision: revision of a Hub data set.
        skip_bad: count bad rows instead of stopping at the first.

    Raises:
        SourceError: the source cannot be read, a row is bad, or no row is left.
    """
    result = Pairs(source)
    try:
        path = Path(source).expanduser()
        on_disk = path.exists()
    except (OSError, RuntimeError) as error:  # too long a name, no such user, ...
        raise SourceError(f"{source}: cannot be read: {error}") from error
    if on_disk or not _HUB_ID.fullmatch(source) or path.suffix.lower() in SUFFIXES:
        rows = read_rows(path)
    else:
        rows = _hub_rows(source, hub_split, hub_config, hub_revision)
    for row in track(rows, f"reading {path.name}"):
        try:
            result.pairs.append(_pair(row, question, answer, columns))
        except SourceError as error:
            if not skip_bad:
                raise SourceError(f"{error} (--skip-bad goes on and counts such rows)") from None
            result.skipped.append(str(error))
    if not result.pairs:
        first = f"; the first of {len(result.skipped)} bad ones: {result.skipped[0]}" if result.skipped else ""
        raise SourceError(f"{source}: holds no usable row{first}")
    return result


def _pair(row: Row, question: str | None, answer: str | None, columns: Sequence[str]) -> Pair:
    if row.fields is None:
        raise SourceError(f"{row.place}: {row.fault}")
    return Pair(
        _text(row.place, row.fields, question, QUESTION_COLUMNS, "question"),
        _text(row.place, row.fields, answer, ANSWER_COLUMNS, "answer"),
        {name: value for name in columns if (value := _plain(row.fields, name)) is not None},
    )


def _plain(fields: Mapping[str, Any], column: str) -> str | None:
    name = _named(fields, (column,)) if column not in fields else column
    value = fields.get(name)
    return str(value).strip() if isinstance(value, (str, int, float)) else None


def _named(fields: Mapping[str, Any], names: Sequence[str]) -> Any:
    """The first of these names that is a field's, in any case; None where there is none."""
    by_name = {str(name).strip().casefold(): name for name in fields}
    return next((by_name[name.casefold()] for name in names if name.casefold() in by_name), None)


def _text(place: str, fields: Mapping[str, Any], column: str | None, usual: tuple[str, ...], role: str) -> str:
    name = column if column in fields else _named(fields, usual if column is None else (column,))
    if name is None:
        wanted = f"a column {column!r}" if column else f"one of {', '.join(usual)}"
        raise SourceError(
            f"{place}: no {role} column: expected {wanted}, found {', '.join(map(str, fields)) or 'none'}; "
            f"name it with --{role}"
        )
    value = fields[name]
    if not isinstance(value, str):
        raise SourceError(f"{place}: {name} is {type(value).__name__}: expected text")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise SourceError(f"{place}: {name} holds half of a surrogate pair: expected Unicode text")
    text = " ".join(value.split())
    if not text:
        raise SourceError(f"{place}: {name} is empty: expected text")
    return text


def _hub_rows(name: str, split: str, config: str | None, revision: str | None) -> Iterator[Row]:
    import datasets

    try:
        dataset = datasets.load_dataset(name, config, split=split, revision=revision)
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise SourceError(
            f"{name}: neither a file here nor a data set that the Hugging Face Hub gives ({reason})"
        ) from error
    for number, fields in enumerate(dataset, 1):
        yield Row(f"{name}, split {split}, row {number}", dict(fields))
