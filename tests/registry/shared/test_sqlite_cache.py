"""A cache keeps what several threads write, and says whether a file that it cannot use is damaged."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from registry.shared.sqlite_cache import CacheError, SqliteCache


@pytest.fixture
def cache(tmp_path: Path) -> SqliteCache:
    return SqliteCache(tmp_path / "folder" / "cache.db")


def test_values_are_kept_and_replaced(cache: SqliteCache) -> None:
    cache.put({b"a": b"1", b"b": b"\0\xff"})
    cache.put({b"a": b"2"})
    assert SqliteCache(cache.path).get([b"a", b"b", b"c"]) == {b"a": b"2", b"b": b"\0\xff"}


def test_reading_a_missing_file_creates_nothing(cache: SqliteCache) -> None:
    assert cache.get([b"a"]) == {}
    assert not cache.path.parent.exists()
    cache.create()
    assert cache.path.is_file() and cache.get([b"a"]) == {}


def test_more_keys_than_one_statement_takes_are_read(cache: SqliteCache) -> None:
    values = {str(number).encode(): b"" for number in range(40_000)}
    cache.put(values)
    assert cache.get(list(values)) == values


def test_concurrent_writes_are_kept(cache: SqliteCache) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: cache.put({b"%d" % number: b"", b"same": b"%d" % number}), range(32)))
    assert len(cache.get([b"same", *(b"%d" % number for number in range(32))])) == 33


def test_a_failed_transaction_keeps_nothing(cache: SqliteCache) -> None:
    with pytest.raises(CacheError, match=r"cache\.db: cannot be used as a cache: .*NOT NULL") as raised:
        cache.put({b"a": b"1", b"b": None})  # type: ignore[dict-item]
    assert not raised.value.damaged
    assert cache.get([b"a", b"b"]) == {}


@pytest.mark.parametrize("content", [b"no database" * 100, "cut off"])
def test_a_damaged_file_is_reported_as_damaged(cache: SqliteCache, content: bytes | str) -> None:
    cache.put({str(number).encode(): bytes(1000) for number in range(100)})
    cache.path.write_bytes(content if isinstance(content, bytes) else cache.path.read_bytes()[:5000])
    with pytest.raises(CacheError, match=r"cache\.db: cannot be used as a cache") as raised:
        cache.get([b"1"])
    assert raised.value.damaged
    cache.remove()
    cache.put({b"1": b"2"})
    assert cache.get([b"1"]) == {b"1": b"2"}


def test_a_file_that_is_locked_or_cannot_be_created_is_not_damaged(
    cache: SqliteCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registry.shared.sqlite_cache._TIMEOUT", 0.01)
    cache.create()
    other = sqlite3.connect(cache.path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    (tmp_path / "file").touch()
    for each in (cache, SqliteCache(tmp_path / "file" / "cache.db")):
        with pytest.raises(CacheError) as raised:
            each.put({b"a": b"1"})
        assert not raised.value.damaged
    other.close()
