"""Cached folders are built once and atomically, and rebuilt if they are damaged."""

from __future__ import annotations

import logging
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from registry.shared.build_cache import cached_folder


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of this test alone."""
    monkeypatch.setenv("DOMAIN_ROUTER_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_concurrent_callers_build_a_folder_once() -> None:
    made: list[Path] = []

    def make(folder: Path) -> None:
        made.append(folder)
        (folder / "value").write_text("1")

    with ThreadPoolExecutor(8) as threads:
        found = set(threads.map(lambda _: cached_folder("things", "one", make), range(8)))
    assert len(made) == 1
    assert {(folder / "value").read_text() for folder in found} == {"1"}


@pytest.mark.parametrize("damage", ["change", "remove", "add", "no list"])
def test_a_damaged_folder_is_rebuilt(damage: str) -> None:
    def make(folder: Path) -> None:
        (folder / "value").write_text("1")

    folder = cached_folder("things", "one", make)
    if damage == "change":
        (folder / "value").write_text("2")
    elif damage == "remove":
        (folder / "value").unlink()
    elif damage == "add":
        (folder / "other").write_text("")
    else:
        (folder / "SHA256SUMS").unlink()
    assert sorted(path.name for path in cached_folder("things", "one", make).iterdir()) == ["SHA256SUMS", "value"]
    assert (folder / "value").read_text() == "1"


def test_an_unwritable_cache_warns_once_and_builds_for_this_process(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made: list[Path] = []

    def make(folder: Path) -> None:
        made.append(folder)
        (folder / "value").write_text("1")

    home.write_text("no folder")
    with caplog.at_level(logging.WARNING):
        found = [cached_folder("things", key, make) for key in ("one", "two", "one")]
    assert [(folder / "value").read_text() for folder in found] == ["1"] * 3
    assert found[0] == found[2] != found[1]
    assert len(made) == 2 and len(caplog.records) == 1
    assert f"{home / 'cache' / 'things'} cannot be used as a cache" in caplog.text


def test_leftovers_of_killed_processes_are_removed_after_a_day(home: Path) -> None:
    parent = home / "cache" / "things"
    for name, age in ((".one.domain-router-0123abcd", 25), (".two.domain-router-0123abcd", 23)):
        (parent / name).mkdir(parents=True)
        (parent / name / "value").write_text("half")
        os.utime(parent / name, (time.time() - age * 3600,) * 2)
    cached_folder("things", "one", lambda folder: None)
    assert {path.name for path in parent.iterdir() if path.is_dir()} == {"one", ".two.domain-router-0123abcd"}


def test_a_failed_build_leaves_nothing(home: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").write_text("")
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        cached_folder("things", "one", fail)
    assert not [path for path in (home / "cache" / "things").iterdir() if not path.name.endswith(".lock")]
