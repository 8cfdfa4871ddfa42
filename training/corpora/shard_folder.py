"""A folder on this machine or at any fsspec URL, whose files appear as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from registry.paths import PathLike, local_path
from registry.shared.outputs import make_folder, write_atomically
from registry.shared.wording import first_line
from training.errors import CorpusError


def is_remote(given: PathLike) -> bool:
    """Whether it is a URL of something that is not a file or folder of this machine."""
    return isinstance(given, str) and "://" in given and not given.lower().startswith("file:")


class ShardFolder:
    """Files by name. It may be sent to other processes, which must reach the same place."""

    def __init__(self, place: PathLike) -> None:
        """
        Args:
            place: path or fsspec URL; it need not exist.

        Raises:
            CorpusError: it is neither.
        """
        self.url = str(place) if is_remote(place) else str(local_path(place, CorpusError).absolute())

    def __getstate__(self) -> dict[str, str]:
        return {"url": self.url}

    @cached_property
    def _system(self) -> tuple[Any, str]:
        with self._reached("opened"):
            system, path = fsspec.core.url_to_fs(self.url)
            return system, str(path)

    def _path(self, name: str) -> str:
        return f"{self._system[1].rstrip('/')}/{name}"

    def read(self, name: str) -> bytes | None:
        """The content of a file; None if there is none of that name.

        Raises:
            CorpusError: the folder cannot be reached.
        """
        with self._reached("read"):
            try:
                return bytes(self._system[0].cat_file(self._path(name)))
            except FileNotFoundError:
                return None

    def write(self, name: str, content: bytes) -> None:
        """Write a file: until it is whole, an earlier one stands.

        Raises:
            CorpusError: the folder cannot be reached.
            OutputError: the disk is full, or the system does not allow it.
        """
        path = self._path(name)
        if isinstance(self._system[0], LocalFileSystem):
            make_folder(Path(path).parent)
            write_atomically(Path(path), content)
            return
        with self._reached("written"):
            self._system[0].pipe_file(path, content)

    def is_empty(self) -> bool:
        """Whether it holds nothing, or does not exist.

        Raises:
            CorpusError: it cannot be reached.
        """
        with self._reached("read"):
            try:
                return not self._system[0].ls(self._system[1], detail=False)
            except FileNotFoundError:
                return True

    def remove(self) -> None:
        """Remove it with all that it holds.

        Raises:
            CorpusError: it cannot be reached.
        """
        with self._reached("removed"):
            if self._system[0].exists(self._system[1]):
                self._system[0].rm(self._system[1], recursive=True)

    @contextmanager
    def _reached(self, done: str) -> Iterator[None]:
        try:
            yield
        except (OSError, ImportError, ValueError) as error:  # ValueError: the scheme is unknown
            raise CorpusError(f"{self.url}: cannot be {done}: {first_line(error)}") from error
