"""Vectors in a file: any rows are read back as written, and no memory map stays open."""

import numpy as np
import pytest

from training.retrieval.vectors import StoredVectors


@pytest.fixture
def whole():
    return np.random.default_rng(0).standard_normal((20, 4)).astype(np.float32)


def test_rows_written_in_any_order_are_read_back(tmp_path, whole):
    stored = StoredVectors.create(tmp_path / "vectors.npy", 20, 4)
    for rows in np.array_split(np.random.default_rng(1).permutation(20), 3):
        stored[rows] = whole[rows]
    assert len(stored) == 20 and stored.shape == (20, 4)
    assert np.array_equal(np.load(tmp_path / "vectors.npy"), whole)
    for rows in (slice(None), slice(5, 9), slice(18, 99), np.array([3, 1, 3]), np.arange(20) % 2 == 0, 7):
        assert np.array_equal(stored[rows], whole[rows])


def test_an_empty_file_can_be_read_back(tmp_path):
    assert StoredVectors.create(tmp_path / "vectors.npy", 0, 4)[:].shape == (0, 4)


def test_what_was_read_is_a_copy_in_memory(tmp_path, whole):
    np.save(tmp_path / "vectors.npy", whole)
    stored = StoredVectors(tmp_path / "vectors.npy")
    rows = stored[:10]
    rows[:] = 0
    assert np.array_equal(stored[:10], whole[:10])
    assert not isinstance(rows, np.memmap) and rows.base is None
