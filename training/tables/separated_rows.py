"""Rows of CSV and TSV files, however programs and people write them: other separators, blanks, line ends."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from typing import BinaryIO, TextIO

from training.errors import SourceError
from training.tables.cells import Row
from training.tables.json_rows import UNDECODED

_MAX_FIELD = 1 << 27
_SEPARATORS = (",", ";", "\t", "|")
_EXPECTED = "expected a header line and quoted fields"
_NOT_CLOSED = "unexpected end of data"
"""The csv module's words for a quoted field that nothing closes."""
_BLANKS_BEHIND_QUOTE = re.compile(r'"[ \t]+(?=[,;|\r\n]|$)')
_EXCEL_HINT = re.compile(r"sep=(.)\s*", re.IGNORECASE)


def separated_rows(path: str, file: BinaryIO, usual: str) -> Iterator[Row]:
    """The rows below a header line, each with the line that it begins on. Rows without anything in them are left out.

    The separator is that of the header line: if the usual one does not separate it, another that does. A blank before
    or behind a quoted field does not belong to it. Lines may end with any of the usual characters.

    Args:
        path: of the file.
        file: its bytes.
        usual: the separator that the file's name tells.

    Raises:
        SourceError: the header is bad, or a quote is not closed, so that the rest of the file is one field.
    """
    csv.field_size_limit(_MAX_FIELD)
    lines = _Lines(path, io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline=""))
    separator = _separator(lines, usual)
    rows = _rows(lines, separator)
    header = next((values for values, _ in rows if values), [])
    if bad := lines.fault:
        raise SourceError(f"{lines.place}: {bad}: {_EXPECTED}")
    if twice := sorted({name for name in header if name and header.count(name) > 1}):
        raise SourceError(f"{lines.place}: duplicate column {twice[0]!r}")
    for values, fault in rows:
        if fault:
            values = _mended(lines.text, separator)
        if lines.fault or (fault and len(values) != len(header)):
            yield Row(lines.place, fault=f"{lines.fault or fault}: {_EXPECTED}")
        elif not any(map(str.strip, values)):
            continue
        elif len(values) != len(header):
            counts = f"has {len(values)} fields{lines.extent}, the header {len(header)}"
            yield Row(lines.place, fault=f"{counts}: {_EXPECTED}")
        else:
            yield Row(lines.place, dict(zip(header, values, strict=True)))


class _Lines:
    """The lines of a file, and those that the present row was read from."""

    def __init__(self, path: str, file: TextIO) -> None:
        self._path = path
        self._file = file
        self._next: list[str] = []
        self._row: list[str] = []
        self._number = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._next.pop() if self._next else next(self._file)
        self._number += 1
        self._row.append(line)
        return line.replace("\0", "\ufffd")

    def peek(self) -> str:
        """The line that comes next; empty at the end."""
        if not self._next:
            self._next = list(filter(None, [self._file.readline()]))
        return self._next[0] if self._next else ""

    def begin_row(self) -> None:
        """Forget the lines of the row before."""
        self._row = []

    @property
    def text(self) -> str:
        """The row as it is written."""
        return "".join(self._row)

    @property
    def place(self) -> str:
        """File and line of the row's begin."""
        return f"{self._path}, line {self._number - max(len(self._row), 1) + 1}"

    @property
    def extent(self) -> str:
        """The row's last line, if it is not its first."""
        return f" (up to line {self._number})" if len(self._row) > 1 else ""

    @property
    def fault(self) -> str | None:
        """What is wrong with the row's bytes."""
        if UNDECODED.search(self.text):
            return "is not UTF-8 text"
        return "holds a NUL byte" if "\0" in self.text else None


def _rows(lines: _Lines, separator: str) -> Iterator[tuple[list[str], str | None]]:
    """The fields of each row, or what is wrong with it."""
    reader = csv.reader(lines, delimiter=separator, strict=True, skipinitialspace=True)
    while True:
        lines.begin_row()
        try:
            yield next(reader), None
        except StopIteration:
            return
        except csv.Error as error:
            if str(error) == _NOT_CLOSED:
                raise SourceError(f"{lines.place}: a quote is not closed: {_EXPECTED}") from error
            yield [], str(error)


def _separator(lines: _Lines, usual: str) -> str:
    """The separator of the header line, which Excel may name in a line before it."""
    if hint := _EXCEL_HINT.fullmatch(lines.peek()):
        next(lines)
        return hint[1]
    counts = {separator: len(_split(lines.peek(), separator)) for separator in (usual, *_SEPARATORS)}
    return usual if counts[usual] > 1 else max(counts, key=lambda separator: counts[separator])


def _split(line: str, separator: str) -> list[str]:
    try:
        return next(csv.reader([line.replace("\0", "")], delimiter=separator, skipinitialspace=True), [])
    except csv.Error:  # a field that is too large
        return []


def _mended(text: str, separator: str) -> list[str]:
    """The fields of a row with blanks behind quotes, or of a TSV row with quotes that are just characters."""
    try:
        mended = csv.reader(
            io.StringIO(_BLANKS_BEHIND_QUOTE.sub('"', text), newline=""),
            delimiter=separator,
            strict=True,
            skipinitialspace=True,
        )
        return next(mended, [])
    except csv.Error:
        return text.rstrip("\r\n").split("\t") if separator == "\t" else []
