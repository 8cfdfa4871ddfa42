"""The compact form of counts and vectors: lossless for counts, a bounded error for vectors, and no bombs."""

import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.sparse import csr_matrix

from registry.classifier_profiles.compact import (
    FINENESS,
    MAX_NUMBERS,
    MAX_ROWS,
    pack_counts,
    pack_vectors,
    packed,
    unpack_counts,
    unpack_vectors,
    unpacked,
)
from registry.classifier_profiles.features import BUCKETS


@settings(max_examples=50)
@given(arrays(np.uint32, st.integers(0, 50)))
def test_numbers_are_unpacked_as_they_were(numbers):
    np.testing.assert_array_equal(unpacked(packed(numbers), len(numbers)), numbers)
    for count in {0, len(numbers) - 1, len(numbers) + 1, -1} - {len(numbers)}:
        with pytest.raises(ValueError, match="declare"):
            unpacked(packed(numbers), count)


def test_small_numbers_take_little_space():
    numbers = np.random.default_rng(0).integers(0, 16, 100_000)
    assert len(packed(numbers)) < 0.52 * len(numbers)


@settings(max_examples=50)
@given(st.integers(1, 400), st.integers(0, 3), st.floats(0.1, 20), st.integers(0, 99))
def test_the_error_of_a_unit_vector_is_bounded_and_rounding_again_adds_none(dimension, rows, power, seed):
    draw = np.random.default_rng(seed).normal(size=(rows, dimension))
    vectors = np.sign(draw) * np.abs(draw) ** power  # the higher, the fewer components make up the length
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    content = pack_vectors(vectors)
    read = unpack_vectors(content, rows, dimension)
    assert read.dtype == np.float32
    assert (np.linalg.norm(read - vectors, axis=1) <= 0.501 / FINENESS).all()
    np.testing.assert_array_equal(pack_vectors(read), content)


def test_the_cosine_of_vectors_of_a_usual_size_changes_by_less_than_a_thousandth():
    vectors = np.random.default_rng(0).normal(size=(500, 384))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    read = unpack_vectors(pack_vectors(vectors), *vectors.shape)
    cosines = (read * vectors).sum(axis=1) / np.linalg.norm(read, axis=1)
    assert (1 - cosines).max() < 1e-3
    assert (1 - cosines).mean() == pytest.approx(1 / (24 * FINENESS**2), rel=0.03)
    assert np.abs(np.linalg.norm(read, axis=1) - 1).max() < 0.01


@pytest.mark.parametrize(("dimension", "error"), [(8, 5e-4), (32, 1e-3), (384, 3e-3), (1024, 3e-3)])
def test_the_error_of_a_component_is_small_in_few_dimensions_too(dimension, error):
    vectors = np.random.default_rng(0).normal(size=(50, dimension))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assert np.abs(unpack_vectors(pack_vectors(vectors), 50, dimension) - vectors).max() < error


def test_vectors_that_are_not_finite_become_0():
    vectors = np.array([[0.6, 0.8], [np.nan, 1], [np.inf, 0]], dtype=np.float32)
    assert unpack_vectors(pack_vectors(vectors), 3, 2)[1:].tolist() == [[0, 0], [0, 0]]


@settings(max_examples=50)
@given(st.data(), array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=9))
def test_counts_are_unpacked_as_they_were(data, shape):
    dense = [data.draw(arrays(np.float32, shape, elements=st.sampled_from([0, 0, 1, 2, 17, 65535]))) for _ in range(2)]
    before = [csr_matrix(each) for each in dense]
    for each in before:
        each.resize(shape[0], BUCKETS)
    found = unpack_counts(pack_counts(*before), shape[0], int(sum(dense).any(axis=0).sum()))
    for own, read in zip(before, found, strict=True):
        assert read.shape == own.shape and read.dtype == np.float32
        for part in ("indptr", "indices", "data"):
            np.testing.assert_array_equal(getattr(read, part), getattr(own, part))


def bomb(size):
    """Zeros that take a thousandth of their size, in place of numbers."""
    return np.frombuffer(zlib.compress(bytes(size), 9), dtype=np.uint8)


@pytest.mark.parametrize("count", [10, 1000])
def test_no_more_is_decompressed_than_is_declared(count):
    content = bomb(1 << 26)
    tracemalloc.start()
    with pytest.raises(ValueError, match="does not hold"):
        unpacked(content, count)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20


def test_too_many_numbers_are_refused_before_anything_is_decompressed(monkeypatch):
    monkeypatch.setattr(zlib, "decompressobj", None)
    with pytest.raises(ValueError, match="at most"):
        unpacked(bomb(1 << 20), MAX_NUMBERS + 1)
    for count, dimension in ((MAX_ROWS, 2000), (MAX_ROWS + 1, 1), (1, MAX_NUMBERS + 1), (-1, -1), (10**30, 0)):
        with pytest.raises(ValueError, match="declares"):
            unpack_vectors(bomb(1 << 20), count, dimension)


def test_too_many_numbers_are_not_packed(monkeypatch):
    monkeypatch.setattr("registry.classifier_profiles.compact.MAX_NUMBERS", 5)
    with pytest.raises(ValueError, match="more than the 5"):
        packed(np.arange(6))
    monkeypatch.setattr("registry.classifier_profiles.compact.MAX_ROWS", 2)
    rows = csr_matrix((3, BUCKETS), dtype=np.float32)
    for pack in (lambda: pack_vectors(np.zeros((3, 1))), lambda: pack_counts(rows, rows)):
        with pytest.raises(ValueError, match="3 rows are more"):
            pack()


def test_counts_in_every_bucket_of_every_row_are_refused_before_they_take_memory():
    nothing = packed(np.zeros(0, dtype=np.int64))
    sizes = packed(np.array([MAX_ROWS] + [0] * (BUCKETS - 1)))
    tracemalloc.start()
    with pytest.raises(ValueError, match=f"declares {MAX_ROWS * BUCKETS} numbers"):
        unpack_counts({"sizes": sizes, "buckets": sizes, "rows": nothing, "counts": nothing}, MAX_ROWS, BUCKETS)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 24


@pytest.mark.parametrize(
    "changes",
    [
        {"sizes": [3, 0]},
        {"sizes": [1 << 31, 1 << 31]},
        {"sizes": [2, 0], "rows": [0, 0, 1, 0], "counts": [1, 1, 1, 1]},
        {"buckets": [5, 0], "rows": [0, 0]},
        {"rows": [0]},
        {"counts": [1, 1, 1]},
    ],
)
def test_counts_that_do_not_fit_each_other_are_refused(changes):
    content = {"sizes": [1, 0], "buckets": [5, 1], "rows": [0, 1], "counts": [1, 1], **changes}
    with pytest.raises(ValueError, match=r"declare|counts"):
        unpack_counts({name: packed(np.array(each)) for name, each in content.items()}, 2, 2)


@pytest.mark.parametrize(("rows", "buckets"), [(-1, 2), (2, -1), (2, BUCKETS + 1), (MAX_ROWS + 1, 2), (1, 1)])
def test_counts_of_another_size_are_refused(rows, buckets):
    matrix = csr_matrix((np.ones(2, np.float32), [3, 5], [0, 1, 2]), shape=(2, BUCKETS))
    with pytest.raises(ValueError, match="declare"):
        unpack_counts(pack_counts(matrix, matrix), rows, buckets)
