"""Rows of Arrow tables, from Parquet files and from the Hub, of which only the columns that are asked for are read."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO

from training.errors import SourceError
from training.tables.cells import Row

if TYPE_CHECKING:
    import pyarrow

BATCH = 4096
_ZIPPED = (gzip.GzipFile, bz2.BZ2File, lzma.LZMAFile)
"""Files in which a jump back is read from the start."""
_FAULTS = (ArithmeticError, ImportError, LookupError, NotImplementedError, TypeError, ValueError)
"""What pyarrow raises for a value that Python does not have."""


def parquet_rows(path: str, file: BinaryIO) -> Iterator[Row]:
    """The rows of a Parquet file, by number. A column that is not used may hold anything.

    Raises:
        SourceError: it is no Parquet file, or is damaged.
    """
    import pyarrow
    import pyarrow.parquet

    content = io.BytesIO(file.read()) if isinstance(file, _ZIPPED) else file
    try:
        table = pyarrow.parquet.ParquetFile(content)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise SourceError(f"{path}: is not a Parquet file, or is damaged: {error}") from error
    number = 0
    try:
        for batch in table.iter_batches(BATCH):
            for row in arrow_rows(path, batch, number):
                number += 1
                yield row
    except (pyarrow.ArrowException, OSError) as error:
        raise SourceError(f"{path}: cannot be read behind row {number}: {error}") from error


def arrow_rows(source: str, table: pyarrow.RecordBatch | pyarrow.Table, before: int) -> Iterator[Row]:
    """The rows of a part of a table.

    Args:
        source: name of the table.
        table: the part.
        before: number of the rows before it.

    Raises:
        SourceError: two columns have the same name.
    """
    names = table.schema.names
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise SourceError(f"{source}: duplicate column {twice[0]!r}")
    columns = {name: _Column(table.column(index)) for index, name in enumerate(names)}
    for row in range(table.num_rows):
        place = f"{source}, row {before + row + 1}"
        yield Row(place, _Fields(place, columns, row))


class _Column:
    """The values of a column, converted when the first of them is asked for."""

    def __init__(self, column: Any) -> None:
        self._column = column
        self._values: list[Any] | None = None
        self._one_by_one = False

    def __getitem__(self, row: int) -> Any:
        if self._values is None and not self._one_by_one:
            try:
                self._values = self._column.to_pylist()
            except _FAULTS:  # of one value; the others are good
                self._one_by_one = True
        return self._column[row].as_py() if self._values is None else self._values[row]


class _Fields(Mapping[str, Any]):
    """The fields of one row."""

    def __init__(self, place: str, columns: Mapping[str, _Column], row: int) -> None:
        self._place = place
        self._columns = columns
        self._row = row

    def __getitem__(self, name: str) -> Any:
        """The value in a column.

        Raises:
            SourceError: Python has no such value, such as a date after the year 9999.
        """
        column = self._columns[name]
        try:
            return column[self._row]
        except _FAULTS as error:
            raise SourceError(f"{self._place}: {name} cannot be read: {error}") from error

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)


def hub_rows(source: str, parts: Iterable[pyarrow.Table]) -> Iterator[Row]:
    """The rows of a data set, of which only the columns that are asked for are decoded."""
    number = 0
    for part in parts:
        yield from arrow_rows(source, part, number)
        number += part.num_rows
