"""Vectors in a ``.npy`` file: only the rows that are being read or written are in memory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


class StoredVectors:
    """The rows of a ``.npy`` file, ``(n, d)``, float32.

    Every access maps the file anew: pages of a map that stays open would stay resident once touched.
    """

    def __init__(self, path: Path, dims: int | None = None, span: slice | None = None) -> None:
        """
        Args:
            path: of the file.
            dims: number of leading dimensions to read, renormalised to unit vectors; by default all.
            span: the rows to read, counted from 0; by default all.
        """
        self._path = path
        self._dims = dims
        self._span = span or slice(None)
        count, dimension = self._map("r").shape
        self.shape: tuple[int, int] = (count, dims or dimension)

    def truncated(self, dims: int) -> StoredVectors:
        """The same with ``dims`` leading dimensions, of unit length (Kusupati et al., 2022, "Matryoshka")."""
        return StoredVectors(self._path, dims, self._span)

    def span(self, rows: slice) -> StoredVectors:
        """Consecutive rows of these, as vectors of their own that are not read yet."""
        first, end = self._span.start or 0, min(rows.stop, len(self))
        return StoredVectors(self._path, self._dims, slice(first + rows.start, first + end))

    @classmethod
    def create(cls, path: Path, count: int, dimension: int) -> StoredVectors:
        """A new file of zeros, ``(count, dimension)``, in place of an earlier one.

        Raises:
            OSError: the disk is full. Without space that is reserved, writing to the map would kill the process.
        """
        create: Any = np.lib.format.open_memmap  # which numpy leaves untyped for Python 3.10
        create(path, mode="w+", dtype=np.float32, shape=(count, dimension))
        with path.open("r+b") as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
        return cls(path)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> NDArray[np.float32]:
        """A copy of some rows, selected as in numpy: by a slice, positions or a mask."""
        vectors = np.array(self._map("r")[rows])
        if self._dims is None:
            return vectors
        leading = vectors[..., : self._dims]
        unit: NDArray[np.float32] = leading / np.linalg.norm(leading, axis=-1, keepdims=True).clip(min=1e-12)
        return unit

    def __setitem__(self, rows: Any, vectors: NDArray[np.float32]) -> None:
        self._map("r+")[rows] = vectors

    def _map(self, mode: Any) -> NDArray[np.float32]:
        vectors: NDArray[np.float32] = np.load(self._path, mmap_mode=mode, allow_pickle=False)
        return vectors[self._span]
