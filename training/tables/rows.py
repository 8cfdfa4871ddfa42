"""Reads the rows of JSONL, JSON, CSV, TSV and Parquet files, plain or .gz, each with the line it begins on."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from training.errors import SourceError

_GZIP_MAGIC = b"\x1f\x8b"
_MAX_FIELD = 1 << 27


@dataclass(frozen=True)
class Row:
    """One row of a source: its place, like ``pairs.csv, line 7``, and its fields, or the fault that hides them."""

    place: str
    fields: dict[str, Any] | None = None
    fault: str | None = None


def read_rows(path: Path) -> Iterator[Row]:
    """Every row of a file, whose name tells its format.

    Raises:
        SourceError: the file is missing, or is not of a known format or of that of its name.
    """
    if path.is_dir():
        raise SourceError(f"{path}: is a folder: expected a file")
    if not path.is_file():
        raise SourceError(f"{path}: no such file")
    suffixes = [suffix.lower() for suffix in path.suffixes]
    zipped = bool(suffixes) and suffixes[-1] == ".gz"
    kind = (suffixes[:-1] if zipped else suffixes)[-1:] or [""]
    reader = _READERS.get(kind[0])
    if reader is None:
        raise SourceError(f"{path}: unknown format: expected {', '.join(_READERS)}, each plain or .gz")
    try:
        with _open(path, zipped) as file:
            yield from reader(path, file)
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(f"{path}: cannot be read: {error}") from error


@contextmanager
def _open(path: Path, zipped: bool) -> Iterator[BinaryIO]:
    with path.open("rb") as file:
        magic = file.read(2)
        file.seek(0)
        if not zipped:
            yield file
        elif magic != _GZIP_MAGIC:
            raise SourceError(f"{path}: is not compressed with gzip, as its name suggests")
        else:
            with gzip.open(file) as unzipped:
                yield unzipped  # type: ignore[misc]


def _jsonl(path: Path, file: BinaryIO) -> Iterator[Row]:
    for number, line in enumerate(file, 1):
        place = f"{path}, line {number}"
        if not line.strip():
            continue
        try:
            value = json.loads(line.removeprefix(codecs.BOM_UTF8))
        except UnicodeDecodeError:
            yield Row(place, fault="is not UTF-8 text: expected a JSON object on every line")
        except (ValueError, RecursionError) as error:  # not JSON, or a number of too many digits
            yield Row(place, fault=f"is not JSON ({error}): expected a JSON object on every line")
        else:
            yield _object(place, value)


def _json(path: Path, file: BinaryIO) -> Iterator[Row]:
    expected = "expected an array of JSON objects"
    try:
        text = file.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SourceError(f"{path}: is not UTF-8 text: {expected}") from error
    decoder, at, line, counted = json.JSONDecoder(), _skip(text, 0), 1, 0
    if text[at : at + 1] != "[":
        raise SourceError(f"{path}: does not start with '[': {expected}")
    at = _skip(text, at + 1)
    while text[at : at + 1] != "]":
        line, counted = line + text.count("\n", counted, at), at
        place = f"{path}, line {line}"
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:  # not JSON, or a number of too many digits
            raise SourceError(f"{place}: is not JSON ({error}): {expected}") from error
        yield _object(place, value)
        at = _skip(text, at)
        if text[at : at + 1] == ",":
            at = _skip(text, at + 1)
        elif text[at : at + 1] != "]":
            raise SourceError(f"{place}: the array is not closed after this object: {expected}")
    end = _skip(text, at + 1)
    if end < len(text):
        line += text.count("\n", counted, end)
        raise SourceError(f"{path}, line {line}: text after the end of the array: {expected}")


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at


def _object(place: str, value: Any) -> Row:
    if isinstance(value, dict):
        return Row(place, value)
    return Row(place, fault=f"holds {type(value).__name__}: expected a JSON object")


def _separated(delimiter: str) -> Callable[[Path, BinaryIO], Iterator[Row]]:
    def read(path: Path, file: BinaryIO) -> Iterator[Row]:
        csv.field_size_limit(_MAX_FIELD)
        reader = csv.reader(_lines(file), delimiter=delimiter, strict=True)
        expected = "expected a header line and quoted fields"
        start = 1
        try:
            header = next(reader, [])
            if twice := sorted({name for name in header if name and header.count(name) > 1}):
                raise SourceError(f"{path}, line 1: duplicate column {twice[0]!r}")
            start = reader.line_num + 1
            for values in reader:
                place = f"{path}, line {start}"
                start = reader.line_num + 1
                if len(values) == len(header):
                    yield Row(place, dict(zip(header, values, strict=True)))
                elif values:
                    yield Row(place, fault=f"has {len(values)} fields, the header {len(header)}: {expected}")
        except UnicodeDecodeError as error:
            raise SourceError(f"{path}, line {reader.line_num + 1}: is not UTF-8 text: {expected}") from error
        except csv.Error as error:
            raise SourceError(f"{path}, line {start}: {error}: {expected}") from error

    return read


def _lines(file: BinaryIO) -> Iterator[str]:
    """Lines decoded one by one, so that the line of a bad byte is known."""
    for number, line in enumerate(file):
        yield line.removeprefix(codecs.BOM_UTF8 if number == 0 else b"").decode()


def _parquet(path: Path, file: BinaryIO) -> Iterator[Row]:
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.ParquetFile(io.BytesIO(file.read()))
        number = 0
        for batch in table.iter_batches():
            for fields in batch.to_pylist():
                number += 1
                yield Row(f"{path}, row {number}", fields)
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:
        raise SourceError(f"{path}: is not a Parquet file: {error}") from error


_READERS: dict[str, Callable[[Path, BinaryIO], Iterator[Row]]] = {
    ".jsonl": _jsonl,
    ".ndjson": _jsonl,
    ".json": _json,
    ".csv": _separated(","),
    ".tsv": _separated("\t"),
    ".parquet": _parquet,
}

SUFFIXES = (*_READERS, ".gz")
"""Suffixes that mark the name of a source as a file's, not a data set's."""
