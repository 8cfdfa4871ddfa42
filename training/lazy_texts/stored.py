"""The texts of a JSON Lines file, each of which is read when it is accessed."""

from __future__ import annotations

import json
import os
import weakref
from array import array
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.errors import PreparedDataError
from training.lazy_texts.sequences import LazySequence

_ROWS = 256
"""Rows that are read at a time where all are read."""


class StoredTexts(LazySequence[str]):
    """The field ``text`` of the rows of a file; where rows end is in memory, 8 bytes a row.

    The file stays open, so that its texts stay the same when another one takes its name. It is not mapped: pages of a
    map stay resident once touched.
    """

    def __init__(self, path: Path, ends: NDArray[np.int64], descriptor: int) -> None:
        """
        Args:
            path: of the file.
            ends: where its rows end, ``(n,)``.
            descriptor: of the open file; it is closed with these texts.
        """
        self._path = path
        self._ends = ends
        self._descriptor = descriptor
        self._state = _state(descriptor)
        weakref.finalize(self, os.close, descriptor)

    def __reduce__(self) -> tuple[Any, ...]:
        return _opened, (self._path, self._ends, self._state)

    def __len__(self) -> int:
        return len(self._ends)

    def item(self, place: int) -> str:
        """See :class:`LazySequence`.

        Raises:
            PreparedDataError: the file was changed, or cannot be read any more.
        """
        return self._read(place, place + 1)[0]

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), _ROWS):
            yield from self._read(start, min(start + _ROWS, len(self)))

    def _read(self, start: int, stop: int) -> list[str]:
        """The texts of consecutive rows, which are read at once."""
        begin = int(self._ends[start - 1]) if start else 0
        ends = (self._ends[start:stop] - begin).tolist()
        try:
            content = os.pread(self._descriptor, ends[-1], begin)
            changed = _state(self._descriptor) != self._state
        except OSError as error:
            raise PreparedDataError(f"{self._path}: cannot be read any more: {error.strerror}") from error
        if changed:
            raise PreparedDataError(f"{self._path}: was changed while it was used: prepare it again")
        return [json.loads(content[one:end])["text"] for one, end in pairwise((0, *ends))]


def read_texts(path: Path) -> tuple[list[str], StoredTexts]:
    """The ids of the rows of a file, and their texts.

    Raises:
        OSError: it cannot be read.
        ValueError: a row is no JSON.
        KeyError: a row has no ``_id`` or ``text``.
    """
    ids: list[str] = []
    ends, end = array("q"), 0
    with path.open("rb") as file:
        for line in file:
            row = json.loads(line)
            name, _ = row["_id"], row["text"]
            ids.append(name)
            end += len(line)
            ends.append(end)
        return ids, StoredTexts(path.absolute(), np.array(ends, dtype=np.int64), os.dup(file.fileno()))


def _opened(path: Path, ends: NDArray[np.int64], state: tuple[int, int]) -> StoredTexts:
    """The texts in another process, which must find the same file."""
    try:
        texts = StoredTexts(path, ends, os.open(path, os.O_RDONLY))
    except OSError as error:
        raise PreparedDataError(
            f"{path}: cannot be read ({error.strerror}): all processes and machines of a training must find the "
            "prepared data under the same path"
        ) from error
    if texts._state != state:
        raise PreparedDataError(f"{path}: was changed while it was used: prepare it again")
    return texts


def _state(descriptor: int) -> tuple[int, int]:
    """The size of a file in bytes, and when it was changed last, in nanoseconds."""
    found = os.fstat(descriptor)
    return found.st_size, found.st_mtime_ns
