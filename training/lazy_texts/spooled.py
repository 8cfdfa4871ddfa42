"""Texts that are put aside in a temporary file while a source is read; each is read again when it is accessed."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from tempfile import SpooledTemporaryFile

from registry.errors import OutputError
from training.lazy_texts.sequences import LazySequence

_FEW = 4 << 20
"""Bytes up to which texts stay in memory."""
_BLOCK = 256
"""Texts that are read at a time where all are read."""


class SpooledTexts(LazySequence[str]):
    """Texts in the order in which they were added; where they end is in memory, 8 bytes a text.

    The file has no name, so nothing of it is left when the process ends, however it ends. One thread may use it.
    """

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(_FEW)  # noqa: SIM115
        self._ends = array("q", [0])
        self._at_end = True

    def __len__(self) -> int:
        return len(self._ends) - 1

    def append(self, text: str) -> None:
        """Add a text.

        Raises:
            OutputError: the folder of temporary files is full, or there is none.
        """
        with _reported():
            if not self._at_end:
                self._file.seek(self._ends[-1])
            self._at_end = True
            self._ends.append(self._ends[-1] + self._file.write(text.encode("utf-8", "surrogatepass")))

    def item(self, place: int) -> str:
        """See :class:`LazySequence`."""
        return self._read(place, place + 1)[0]

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), _BLOCK):
            yield from self._read(start, min(start + _BLOCK, len(self)))

    def _read(self, start: int, stop: int) -> list[str]:
        ends = self._ends[start : stop + 1]
        with _reported():
            self._at_end = False
            self._file.seek(ends[0])
            content = self._file.read(ends[-1] - ends[0])
        return [content[one - ends[0] : end - ends[0]].decode("utf-8", "surrogatepass") for one, end in pairwise(ends)]


@contextmanager
def _reported() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(
            f"texts cannot be put aside in a temporary file: {reason}: set TMPDIR to a folder with free space"
        ) from error
