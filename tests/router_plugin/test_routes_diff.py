"""The diff of a routes file: programs apply it, and it has no more than what changes."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings

from router_plugin import RoutesError, load_routes, routes_diff
from tests.conftest import EXAMPLES

from .routes_text.test_editing import changes


@pytest.mark.parametrize("program", [["git", "apply"], ["patch", "-p1", "-i"]])
@given(case=changes())
@settings(max_examples=15)
def test_patch_and_git_apply_the_diff(tmp_path: Path, program: list[str], case: tuple) -> None:  # type: ignore[type-arg]
    if shutil.which(program[0]) is None:
        pytest.skip(f"{program[0]} is not here")
    text, routes, wanted = case
    folder = tmp_path / "my routes"
    folder.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
        Path("all routes.yaml").write_bytes(text.encode())
        diff = routes_diff("all routes.yaml", wanted)
        if wanted == routes:
            assert diff == ""
            return
        Path("routes.diff").write_bytes(diff.encode())
        arguments = ["--binary"] if program[0] == "patch" else []
        subprocess.run([program[0], *arguments, *program[1:], "routes.diff"], check=True, capture_output=True)
        assert load_routes("all routes.yaml") == wanted


def test_only_lines_are_added_where_no_threshold_is_there() -> None:
    path = EXAMPLES / "routes.yaml"
    first, *rest = load_routes(path)
    wanted = [first.model_copy(update={"utterances": (*first.utterances, "my ears ring", "yes")}), *rest]
    diff = routes_diff(path, [wanted[0].model_copy(update={"threshold": 0.25}), *rest])
    changed = [line for line in diff.splitlines()[2:] if line[0] in "+-"]
    assert changed == ["+    threshold: 0.25", "+      - my ears ring", '+      - "yes"']


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(RoutesError, match=r"none\.yaml: cannot be read: No such file"):
        routes_diff(tmp_path / "none.yaml", [])
    (tmp_path / "latin.yaml").write_bytes(b"routes: \xff")
    with pytest.raises(RoutesError, match=r"latin\.yaml: is not UTF-8 text"):
        routes_diff(tmp_path / "latin.yaml", [])
