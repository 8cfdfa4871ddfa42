"""Output appears atomically or not at all, an earlier one stands until then, and nothing of a user's is replaced."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from registry import OutputError
from registry.shared.outputs import (
    LEFTOVER_AGE,
    check_free,
    move_into_place,
    new_folder_beside,
    staged_folder,
    write_atomically,
)

MARKER = "report.json"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """An earlier output, alone in its folder."""
    out = tmp_path / "place" / "out"
    out.mkdir(parents=True)
    (out / MARKER).write_text("1")
    return out


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_appears_when_the_block_ends(tmp_path: Path) -> None:
    out = tmp_path / "parents" / "out"
    with staged_folder(out) as folder:
        (folder / "value").write_text("1")
        assert not out.exists()
    assert (out / "value").read_text() == "1"
    assert names(out.parent) == ["out"]


def test_an_earlier_folder_stands_until_the_block_ends(out: Path) -> None:
    with staged_folder(out, overwrite=True, marker=MARKER) as folder:
        (folder / "value").write_text("2")
        assert names(out) == [MARKER]
    assert names(out) == ["value"]
    assert names(out.parent) == ["out"]


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
def test_a_block_that_raises_leaves_the_earlier_folder_and_nothing_else(out: Path, kind: type[BaseException]) -> None:
    with pytest.raises(kind), staged_folder(out, overwrite=True, marker=MARKER) as folder:
        (folder / "value").write_text("2")
        raise kind
    assert names(out) == [MARKER]
    assert names(out.parent) == ["out"]


def test_only_an_earlier_output_is_replaced_and_only_on_request(out: Path) -> None:
    with pytest.raises(OutputError, match=f"{out}: exists already"), staged_folder(out):
        pytest.fail("the block ran")
    with pytest.raises(OutputError, match=f"{out}: holds no manifest"):
        check_free(out, overwrite=True, marker="manifest.json")
    assert names(out) == [MARKER]


def test_output_that_another_process_wrote_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(OutputError, match=f"{out}: exists already"), staged_folder(out) as folder:
        (folder / "value").write_text("1")
        out.mkdir()
        (out / "theirs").write_text("2")
    assert names(out) == ["theirs"]
    assert names(tmp_path) == ["out"]


def test_a_file_is_never_replaced_by_a_folder(tmp_path: Path) -> None:
    (tmp_path / "ours").write_text("mine")
    with (
        pytest.raises(OutputError, match="ours: is a file: expected a folder"),
        staged_folder(tmp_path / "ours", overwrite=True),
    ):
        pass
    assert (tmp_path / "ours").read_text() == "mine"


def test_without_a_marker_a_link_is_replaced_and_not_what_it_points_to(out: Path, tmp_path: Path) -> None:
    place = tmp_path / "ours"
    place.symlink_to(out)
    with staged_folder(place, overwrite=True) as folder:
        (folder / "value").write_text("1")
    assert names(place) == ["value"] and names(out) == [MARKER]
    assert names(tmp_path) == ["ours", "place"]


def test_a_folder_that_cannot_be_created_is_refused_by_name(tmp_path: Path) -> None:
    out = tmp_path / ("x" * 250)  # itself a possible name
    with pytest.raises(OutputError, match=f"{out}: cannot be written: File name too long"), new_folder_beside(out):
        pytest.fail("the block ran")
    with pytest.raises(OutputError, match="cannot be read"):
        check_free(tmp_path / ("x" * 300), overwrite=False)


def test_an_output_that_cannot_be_moved_is_refused_by_name_and_the_earlier_one_stands(out: Path) -> None:
    with pytest.raises(OutputError, match=f"{out}: cannot be written"):
        move_into_place(out.with_name("gone"), out)
    (out.parent / "file").write_text("")
    with pytest.raises(OutputError, match=f"{out.parent}/file/out: cannot be written"):
        move_into_place(out, out.parent / "file" / "out")
    assert (out / MARKER).read_text() == "1"
    assert names(out.parent) == ["file", "out"]


@pytest.mark.parametrize("content", ["grüße\n", b"\x00\xff"])
def test_a_file_is_written_and_replaced(tmp_path: Path, content: str | bytes) -> None:
    path = tmp_path / "file"
    for _ in range(2):
        write_atomically(path, content)
        assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert names(tmp_path) == ["file"]


def test_a_file_that_cannot_be_written_leaves_the_earlier_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_atomically(path, "1")

    def full(partial: Path, data: bytes) -> None:
        partial.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match=f"{path}: cannot be written: No space left on device"):
        write_atomically(path, "2")
    assert path.read_text() == "1"
    assert names(tmp_path) == ["file"]


def test_only_leftovers_of_killed_processes_are_removed_after_a_day(tmp_path: Path) -> None:
    old, young = time.time() - LEFTOVER_AGE - 60, time.time() - LEFTOVER_AGE + 60
    ours = {".a.domain-router-0123abcd": old, ".b.domain-router-0123abcd": young}
    theirs = dict.fromkeys([".notes", ".a.new-0123abcd", "a.domain-router-0123abcd", ".a.earlier-0123abcd"], old)
    for name, changed in (ours | theirs).items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "value").write_text("half")
        os.utime(tmp_path / name, (changed, changed))
    (tmp_path / ".c.domain-router-0123abcd").write_text("half")
    os.utime(tmp_path / ".c.domain-router-0123abcd", (old, old))
    write_atomically(tmp_path / "file", "1")
    assert set(names(tmp_path)) == {"file", ".b.domain-router-0123abcd", *theirs}


def test_permissions_are_those_that_the_umask_leaves(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with staged_folder(tmp_path / "out"):
            pass
        write_atomically(tmp_path / "file", "1")
    finally:
        os.umask(before)
    assert [oct((tmp_path / name).stat().st_mode & 0o777) for name in ("out", "file")] == ["0o750", "0o640"]
