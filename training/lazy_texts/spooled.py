"""Texts that are put aside in a temporary file while a source is read; each is read again when it is accessed."""

from __future__ import annotations

import os
import tempfile
from array import array
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from registry.shared.outputs import disk_reported
from training.lazy_texts.sequences import LazySequence

_BLOCK = 256
"""Texts that are read at a time where all are read."""


class SpooledTexts(LazySequence[str]):
    """Texts in the order in which they were added; where they end is in memory, 8 bytes a text.

    The file has no name, so nothing of it is left when the process ends, however it ends.
    """

    def __init__(self) -> None:
        self._folder = Path(tempfile.gettempdir())
        with disk_reported(self._folder):
            self._file = tempfile.TemporaryFile(buffering=1 << 20, dir=self._folder)  # noqa: SIM115
        self._ends = array("q", [0])
        self._flushed = True

    def __len__(self) -> int:
        return len(self._ends) - 1

    def append(self, text: str) -> None:
        """Add a text.

        Raises:
            OutputError: the folder of temporary files is full.
        """
        with disk_reported(self._folder):
            self._ends.append(self._ends[-1] + self._file.write(text.encode("utf-8", "surrogatepass")))
        self._flushed = False

    def item(self, place: int) -> str:
        """See :class:`LazySequence`."""
        return self._read(place, place + 1)[0]

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), _BLOCK):
            yield from self._read(start, min(start + _BLOCK, len(self)))

    def _read(self, start: int, stop: int) -> list[str]:
        if not self._flushed:
            with disk_reported(self._folder):
                self._file.flush()
            self._flushed = True
        ends = self._ends[start : stop + 1]
        content = os.pread(self._file.fileno(), ends[-1] - ends[0], ends[0])
        return [content[one - ends[0] : end - ends[0]].decode("utf-8", "surrogatepass") for one, end in pairwise(ends)]
