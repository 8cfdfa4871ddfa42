"""The compact form of counts and vectors in a file: small whole numbers, compressed.

Numbers are made small first: only the differences of ascending ones are kept, and vectors are rounded to a grid. Then
their bytes of each order stand together, because the higher ones are nearly all 0.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from registry.classifier_profiles.features import BUCKETS

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

MAX_NUMBERS = 1 << 26
"""Numbers that one array may hold. A profile of 1,500 long queries has about a million."""
MAX_ROWS = 1 << 16
"""Queries of a profile, and vectors of each kind."""
FINENESS = 9
"""Steps of the grid in the root mean square of a unit vector's components: the cosine of a vector and its rounded one
is about 1 - 1 / (24 * FINENESS**2), and never below sqrt(1 - 1 / (4 * FINENESS**2))."""
FULL_DIMENSION = 384
"""Vectors of fewer dimensions have a finer grid: they take little space, and the error of their cosine with another
vector is about a third of a step, whatever their dimension."""

_BYTES = 4
_STRATEGIES = (zlib.Z_DEFAULT_STRATEGY, zlib.Z_HUFFMAN_ONLY)
"""The second is better for numbers that do not repeat."""
_MAX_COUNT = int(np.iinfo(np.uint16).max)

Bytes = NDArray[np.uint8]
Numbers = NDArray[np.int64]


def packed(numbers: NDArray[np.integer]) -> Bytes:
    """Whole numbers of at least 0 and below 2**32, compressed.

    Raises:
        ValueError: there are more than :data:`MAX_NUMBERS`.
    """
    if numbers.size > MAX_NUMBERS:
        raise ValueError(f"{numbers.size} numbers are more than the {MAX_NUMBERS} that a profile may hold")
    planes = numbers.ravel().astype("<u4").view(np.uint8).reshape(-1, _BYTES).T
    return np.frombuffer(b"".join(_compressed(plane.tobytes()) for plane in planes), dtype=np.uint8)


def unpacked(content: NDArray[np.generic], count: int) -> Numbers:
    """The numbers that :func:`packed` has compressed; no more memory is used than ``count`` of them take.

    Raises:
        ValueError: these are not ``count`` numbers.
    """
    if not 0 <= count <= MAX_NUMBERS:
        raise ValueError(f"it declares {count} numbers, expected at most {MAX_NUMBERS}")
    planes, rest = np.empty((_BYTES, count), dtype=np.uint8), content.tobytes()
    for plane in planes:
        reader = zlib.decompressobj()
        try:
            found = reader.decompress(rest, count + 1)
        except zlib.error as error:
            raise ValueError(str(error)) from error
        if len(found) != count or not reader.eof:
            raise ValueError(f"it does not hold the {count} numbers that it declares")
        plane[:], rest = np.frombuffer(found, dtype=np.uint8), reader.unused_data
    if rest:
        raise ValueError(f"it holds more than the {count} numbers that it declares")
    return np.ascontiguousarray(planes.T).view("<u4").ravel().astype(np.int64)


def pack_vectors(vectors: NDArray[np.floating]) -> Bytes:
    """Unit vectors ``(n, d)``, rounded to a grid; those that are not finite become 0.

    Vectors of :func:`unpack_vectors` lie on the grid, so they are packed without a further error.

    Raises:
        ValueError: there are more than a profile may hold.
    """
    _check_rows(len(vectors))
    finite = np.where(np.isfinite(vectors).all(axis=1, keepdims=True), vectors, 0)
    steps = np.rint(finite * _steps_in_1(vectors.shape[1])).astype(np.int64)
    return packed(np.where(steps < 0, -2 * steps - 1, 2 * steps))


def unpack_vectors(content: NDArray[np.generic], count: int, dimension: int) -> NDArray[np.float32]:
    """Vectors ``(count, dimension)`` of nearly unit length.

    Raises:
        ValueError: the content is not of this form.
    """
    if not 0 <= count <= MAX_ROWS or not 0 <= dimension <= MAX_NUMBERS:
        raise ValueError(f"it declares {count} vectors of {dimension} dimensions")
    numbers = unpacked(content, count * dimension)
    steps = np.where(numbers % 2, -(numbers + 1) // 2, numbers // 2)
    return (steps / _steps_in_1(dimension)).astype(np.float32).reshape(count, dimension)


def pack_counts(clean: csr_matrix, misspelt: csr_matrix) -> dict[str, Bytes]:
    """Counts of queries and of the same queries with typing errors, ``(n, BUCKETS)`` each: which rows are counted in
    each bucket, and how often. Buckets of few rows come first.

    Counts above 65,535 are stored as that.

    Raises:
        ValueError: there are more than a profile may hold.
    """
    _check_rows(clean.shape[0])
    clean, misspelt = (counts.astype(np.float64).minimum(_MAX_COUNT) for counts in (clean, misspelt))
    both = (clean + misspelt * (_MAX_COUNT + 1)).tocsc()
    both.sort_indices()
    sizes = np.diff(both.indptr)
    buckets = np.argsort(sizes, kind="stable")
    buckets = buckets[sizes[buckets] > 0]
    sizes, starts = sizes[buckets], both.indptr[:-1][buckets]
    places = np.arange(both.nnz) + np.repeat(starts - np.cumsum(sizes) + sizes, sizes)
    counts = both.data[places].astype(np.int64)
    first, second = counts & _MAX_COUNT, counts >> 16
    return {
        "sizes": packed(np.diff(sizes, prepend=0)),
        "buckets": packed(np.diff(buckets, prepend=0) % BUCKETS),
        "rows": packed(np.diff(both.indices[places].astype(np.int64), prepend=0) % max(both.shape[0], 1)),
        # the low halves of both, which are nearly all there is, in one byte
        "counts": packed(first % 16 + 16 * (second % 16) + 256 * (first // 16) + (second // 16 << 20)),
    }


def unpack_counts(arrays: Mapping[str, NDArray[np.generic]], rows: int, buckets: int) -> tuple[csr_matrix, csr_matrix]:
    """Both counts of :func:`pack_counts`, float32, sorted.

    Args:
        arrays: by name.
        rows: how many there are.
        buckets: in how many of them something is counted.

    Raises:
        ValueError: the arrays are not of this form.
    """
    from scipy.sparse import coo_matrix

    if not 0 <= buckets <= BUCKETS or not 0 <= rows <= MAX_ROWS:
        raise ValueError(f"it declares counts in {buckets} buckets of {rows} rows")
    sizes = np.cumsum(unpacked(arrays["sizes"], buckets))
    if buckets and sizes[-1] > rows:
        raise ValueError(f"it counts {sizes[-1]} of {rows} rows in one bucket")
    total = int(sizes.sum())
    places = np.cumsum(unpacked(arrays["rows"], total)) % max(rows, 1)  # refuses a large total before anything repeats
    counts = unpacked(arrays["counts"], total)
    columns = np.repeat(np.cumsum(unpacked(arrays["buckets"], buckets)) % BUCKETS, sizes)
    first = counts % 16 + 16 * (counts // 256 % 4096)
    second = counts // 16 % 16 + 16 * (counts >> 20)
    both = [coo_matrix((each, (places, columns)), shape=(rows, BUCKETS)).tocsr() for each in (first, second)]
    if both[0].nnz != total:
        raise ValueError("it counts the same twice")
    for each in both:
        each.eliminate_zeros()
    return both[0].astype(np.float32), both[1].astype(np.float32)


def _check_rows(rows: int) -> None:
    if rows > MAX_ROWS:
        raise ValueError(f"{rows} rows are more than the {MAX_ROWS} that a profile may hold")


def _compressed(content: bytes) -> bytes:
    found = []
    for strategy in _STRATEGIES:
        writer = zlib.compressobj(9, strategy=strategy)
        found.append(writer.compress(content) + writer.flush())
    return min(found, key=len)


def _steps_in_1(dimension: int) -> int:
    dimension = max(dimension, 1)
    return math.ceil(FINENESS * math.sqrt(dimension) * max(1, FULL_DIMENSION / dimension))
