"""Reads the rows of JSONL, JSON, CSV, TSV and Parquet files, compressed or not, each with the line it begins on.

A file's name tells its format, and its content has the last word: published data are often named otherwise.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

import fsspec

from registry.paths import PathLike, local_path
from registry.shared.wording import first_line
from training.errors import SourceError
from training.tables.arrow_rows import parquet_rows
from training.tables.cells import Row
from training.tables.json_rows import json_rows
from training.tables.separated_rows import separated_rows

__all__ = ["SUFFIXES", "Row", "read_rows"]

_Reader = Callable[[str, BinaryIO], Iterator[Row]]

_READERS: dict[str, _Reader] = {
    ".jsonl": json_rows,
    ".ndjson": json_rows,
    ".json": json_rows,
    ".csv": partial(separated_rows, usual=","),
    ".tsv": partial(separated_rows, usual="\t"),
    ".parquet": parquet_rows,
}
_ALSO: dict[str, _Reader] = {
    **{ending: json_rows for ending in (".jsonlines", ".jl")},
    **{ending: partial(separated_rows, usual="\t") for ending in (".tab", ".txt")},
    **{ending: parquet_rows for ending in (".pq", ".parq")},
}
_ZIPPED = (".gz", ".bz2", ".xz")

SUFFIXES = (*_READERS, *_ALSO, *_ZIPPED)
"""Suffixes that mark the name of a source as a file's, not a data set's."""

_START = 1 << 12
_OPENERS: dict[bytes, Callable[[BinaryIO], object]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}
_OTHERS = {
    b"PK\x03\x04": "is a zip archive or an Excel workbook: unpack it, or save it as CSV",
    b"\xd0\xcf\x11\xe0": "is an Excel workbook: save it as CSV",
    b"\x28\xb5\x2f\xfd": "is compressed with zstd: decompress it",
    b"SQLite format 3": "is an SQLite database: export a table as CSV",
    b"ARROW1": "is an Arrow file: save it as Parquet",
}
_PARQUET = b"PAR1"
_FAULTS = (OSError, EOFError, zlib.error, lzma.LZMAError)
_WIDE = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_rows(path: PathLike) -> Iterator[Row]:
    """Every row of a file.

    Raises:
        SourceError: the file is missing, or is not of a known format.
    """
    path = local_path(path, SourceError)
    if path.is_dir():
        raise SourceError(f"{path}: is a folder: expected a file")
    if not path.is_file():
        raise SourceError(f"{path}: no such file")
    try:
        with path.open("rb") as file:
            yield from _rows(str(path), file)
    except _FAULTS as error:
        raise SourceError(f"{path}: cannot be read: {error}") from error


def read_remote_rows(url: str) -> Iterator[Row]:
    """Every row of a file at an fsspec URL, which is read as it is needed.

    Raises:
        SourceError: the file cannot be reached, is missing, or is not of a known format.
    """
    try:
        with fsspec.open(url, "rb") as file:
            yield from _rows(url, file)
    except (*_FAULTS, ImportError, ValueError) as error:  # a scheme that is unknown, or whose package is missing
        raise SourceError(f"{url}: cannot be read: {first_line(error)}") from error


def _rows(name: str, file: BinaryIO) -> Iterator[Row]:
    with _unzipped(file) as plain:
        start = plain.read(_START)
        plain.seek(0)
        yield from _reader(name, start)(name, plain)


@contextmanager
def open_unzipped(path: Path) -> Iterator[BinaryIO]:
    """The bytes of a file, decompressed if its content is compressed."""
    with path.open("rb") as file, _unzipped(file) as plain:
        yield plain


@contextmanager
def _unzipped(file: BinaryIO) -> Iterator[BinaryIO]:
    start = file.read(max(map(len, _OPENERS)))
    file.seek(0)
    opener = next((opener for magic, opener in _OPENERS.items() if start.startswith(magic)), None)
    if opener is None:
        yield file
    else:
        with cast("BinaryIO", opener(file)) as unzipped:
            yield unzipped


def _reader(path: str, start: bytes) -> _Reader:
    """What reads a file, by its name and the first bytes of its content.

    Raises:
        SourceError: nothing does.
    """
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    ending = next((suffix for suffix in reversed(suffixes) if suffix not in _ZIPPED), "")
    if start.startswith(_PARQUET):
        return parquet_rows
    for magic, what in _OTHERS.items():
        if start.startswith(magic):
            raise SourceError(f"{path}: {what}")
    if start.startswith(_WIDE) or start.count(0) > len(start) // 4:
        raise SourceError(f"{path}: is not UTF-8 text, but probably UTF-16: save it as UTF-8")
    if ending in _READERS:
        return _READERS[ending]
    if start.lstrip().removeprefix(codecs.BOM_UTF8).lstrip()[:1] in (b"{", b"["):
        return json_rows
    if ending in _ALSO and b"\t" in start.partition(b"\n")[0]:
        return _ALSO[ending]
    raise SourceError(f"{path}: unknown format: expected {', '.join(_READERS)}, each plain or .gz")
