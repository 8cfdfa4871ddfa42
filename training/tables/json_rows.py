"""Rows of JSON files: an array of objects, or an object on every line, whatever the file's name says."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from itertools import chain
from typing import Any, BinaryIO

from training.errors import SourceError
from training.tables.cells import Row

LINES = (".jsonl", ".ndjson", ".jsonlines", ".jl")
"""Endings of files that hold an object on every line; others may also hold one object in several lines."""

UNDECODED = re.compile("[\udc80-\udcff]")
"""Bytes that are no UTF-8, as the error handler ``surrogateescape`` decodes them."""

_EXPECTED = "expected an array of JSON objects, or a JSON object on every line"
_Line = tuple[int, str]


def json_rows(path: str, file: BinaryIO) -> Iterator[Row]:
    """The rows of a file.

    Raises:
        SourceError: it holds neither an array nor lines of JSON.
    """
    text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape")
    lines = ((number, line) for number, line in enumerate(text, 1) if line.strip())
    first = next(lines, None)
    named_lines = path.lower().removesuffix(".gz").endswith(LINES)
    if first is None:
        if named_lines:
            return
        raise SourceError(f"{path}: is empty: {_EXPECTED}")
    form = _form(first[1].strip(), named_lines)
    if form == "lines":
        yield from _of_lines(path, chain([first], lines))
        return
    number, line = first
    whole = "\n" * (number - 1) + line + text.read()
    if UNDECODED.search(whole):
        raise SourceError(f"{path}: is not UTF-8 text: {_EXPECTED}")
    yield from _of_array(path, whole) if form == "array" else _of_objects(path, whole)


def _form(line: str, lines: bool) -> str:
    """How a file is laid out by its first line: ``array``, ``lines``, or ``objects`` over several lines."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        if line.startswith("[") and not (lines and line.startswith("[[")):
            return "array"
        return "lines" if lines else "objects"
    if isinstance(value, list) and (not lines or any(isinstance(each, dict) for each in value)):
        return "array"
    return "lines" if lines or (isinstance(value, dict) and not _table_in(value)) else "objects"


def _of_lines(path: str, lines: Iterator[_Line]) -> Iterator[Row]:
    for number, line in lines:
        place = f"{path}, line {number}"
        if UNDECODED.search(line):
            yield Row(place, fault="is not UTF-8 text: expected a JSON object on every line")
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:  # not JSON, or a number of too many digits
            yield Row(place, fault=f"is not JSON ({error}): expected a JSON object on every line")
        else:
            yield _object(place, value)


def _of_array(path: str, text: str) -> Iterator[Row]:
    expected = "expected an array of JSON objects"
    values = _Values(path, text, expected)
    values.skip("[")
    while not values.at_end("]"):
        place, value = values.next()
        yield _object(place, value)
        if not values.skip(",") and not values.at_end("]"):
            raise SourceError(f"{place}: the array is not closed after this object: {expected}")
    values.skip("]")
    if not values.at_end(""):
        raise SourceError(f"{values.place}: text after the end of the array: {expected}")


def _of_objects(path: str, text: str) -> Iterator[Row]:
    """Objects over several lines each; a single one that holds rows or columns is refused."""
    values = _Values(path, text, _EXPECTED)
    first = values.next()
    if values.at_end("") and (inside := _table_in(first[1])):
        raise SourceError(f"{path}: holds one object, {inside}: {_EXPECTED}")
    yield _object(*first)
    while not values.at_end(""):
        values.skip(",")
        yield _object(*values.next())


def _table_in(value: Any) -> str | None:
    """What kind of table a single object holds, in words."""
    if not isinstance(value, dict):
        return None
    for key, inner in value.items():
        if isinstance(inner, list) and inner and isinstance(inner[0], dict):
            return f"whose {key!r} holds the rows"
    if len(value) > 1 and all(isinstance(inner, (dict, list)) for inner in value.values()):
        return "whose keys are columns"
    return None


class _Values:
    """The JSON values in a text, one after the other, each with its place."""

    def __init__(self, path: str, text: str, expected: str) -> None:
        self._path = path
        self._text = text
        self._expected = expected
        self._decoder = json.JSONDecoder()
        self._at, self._line, self._counted = 0, 1, 0
        self._skip_blanks()

    @property
    def place(self) -> str:
        """File and line of the next character."""
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        return f"{self._path}, line {self._line}"

    def at_end(self, sign: str) -> bool:
        """Whether the next character is a sign; for an empty one, whether the text ends."""
        return self._text[self._at : self._at + 1] == sign

    def skip(self, sign: str) -> bool:
        """Go on behind a sign, if it comes next."""
        found = self.at_end(sign)
        if found:
            self._at += 1
            self._skip_blanks()
        return found

    def next(self) -> tuple[str, Any]:
        """The next value with its place.

        Raises:
            SourceError: there is none.
        """
        place = self.place
        try:
            value, self._at = self._decoder.raw_decode(self._text, self._at)
        except (ValueError, RecursionError) as error:  # not JSON, or a number of too many digits
            raise SourceError(f"{place}: is not JSON ({error}): {self._expected}") from error
        self._skip_blanks()
        return place, value

    def _skip_blanks(self) -> None:
        while self._at < len(self._text) and self._text[self._at] in " \t\r\n":
            self._at += 1


def _object(place: str, value: Any) -> Row:
    if isinstance(value, dict):
        return Row(place, value)
    return Row(place, fault=f"holds {type(value).__name__}: expected a JSON object")
