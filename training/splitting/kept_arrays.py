"""Arrays by name that one step of some work keeps for the next, in memory or in files that other processes reach."""

from __future__ import annotations

import io
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from training.errors import CorpusError


class Files(Protocol):
    """Contents by name; :class:`training.corpora.shard_folder.ShardFolder` is one that other processes reach."""

    def read(self, name: str) -> bytes | None:
        """A content; None if there is none of that name."""

    def write(self, name: str, content: bytes) -> None:
        """Keep a content, in place of an earlier one."""


class Memory:
    """Contents in the memory of this process."""

    def __init__(self) -> None:
        self._contents: dict[str, bytes] = {}

    def read(self, name: str) -> bytes | None:
        """See :class:`Files`."""
        return self._contents.get(name)

    def write(self, name: str, content: bytes) -> None:
        """See :class:`Files`."""
        self._contents[name] = content


def keep(files: Files, name: str, **arrays: NDArray[Any]) -> None:
    """Keep arrays under a name."""
    content = io.BytesIO()
    np.savez(content, **arrays)  # type: ignore[arg-type]
    files.write(f"{name}.npz", content.getvalue())


def kept(files: Files, name: str) -> dict[str, NDArray[Any]]:
    """The arrays that were kept under a name.

    Raises:
        CorpusError: there are none.
    """
    content = files.read(f"{name}.npz")
    if content is None:
        raise CorpusError(f"{name}.npz: is missing: a cluster's machines must all reach the output at the same path")
    with np.load(io.BytesIO(content), allow_pickle=False) as found:
        return dict(found)
