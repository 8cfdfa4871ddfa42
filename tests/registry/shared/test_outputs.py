"""Output folders that the system does not let us write are refused in words, and an earlier output stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry import OutputError
from registry.shared.outputs import check_free, move_into_place, new_folder_beside


def test_a_folder_that_cannot_be_made_beside_an_output_is_refused_by_name(tmp_path: Path) -> None:
    out = tmp_path / ("x" * 250)  # itself a possible name
    with pytest.raises(OutputError, match=f"{out}: cannot be written"):
        new_folder_beside(out)


def test_an_output_that_cannot_be_moved_is_refused_by_name_and_the_earlier_one_stands(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "value").write_text("1")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=f"{out}: cannot be written"):
        move_into_place(tmp_path / "gone", out)
    with pytest.raises(OutputError, match=f"{tmp_path}/file/out: cannot be written"):
        move_into_place(out, tmp_path / "file" / "out")
    assert (out / "value").read_text() == "1"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "out"]


def test_a_name_that_no_folder_can_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be read"):
        check_free(tmp_path / ("x" * 300), overwrite=False, marker="report.json")
