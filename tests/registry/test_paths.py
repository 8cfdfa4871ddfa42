"""Paths as people give them: text, Path objects, file URLs, and a tilde, all read by one rule."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry import DomainRouterError, OutputError
from registry.paths import AS_PATH, is_path, local_path, user_home
from registry.shared.options import Options, adapter, model_fields


@pytest.fixture(autouse=True)
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_text_path_and_file_url_name_the_same_folder(user: Path) -> None:
    folder = user / "my models 100%"
    ways = ["~/my models 100%", Path("~/my models 100%"), folder, str(folder), folder.as_uri()]
    ways += [f"file:{folder.as_uri()[7:]}", f"file://localhost{folder.as_uri()[7:]}", "file://~/my%20models%20100%25"]
    assert {local_path(way) for way in ways} == {folder}


@pytest.mark.parametrize("given", ["", " ", "a\0b", b"bytes"])
def test_what_is_no_path_is_refused(given: str) -> None:
    with pytest.raises(OutputError, match="`out` .*: .*expected a path"):
        local_path(given, OutputError, "`out`")


@pytest.mark.parametrize("url", ["https://host/x.csv", "s3://bucket/x", "hf://datasets/x"])
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(DomainRouterError, match=f"{url}: is a URL: expected a path on this machine"):
        local_path(url)


def test_an_unknown_user_is_refused_with_advice() -> None:
    with pytest.raises(DomainRouterError, match="~nobody-here/x: there is no user nobody-here: write ./~nobody-here/x"):
        local_path("~nobody-here/x")


def test_a_file_that_begins_with_a_tilde_can_be_named(user: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(user)
    assert local_path("./~nobody-here/x") == user / "~nobody-here" / "x"
    assert local_path("./~/x") == user / "~" / "x"


@given(st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), min_size=1))
def test_a_path_that_was_read_is_read_as_itself(text: str) -> None:
    try:
        path = local_path(text)
    except DomainRouterError:
        return
    assert local_path(path) == path
    assert path.parts[:1] != ("~",)


@pytest.mark.parametrize("value", ["", " ", None])
def test_an_empty_home_variable_counts_as_none(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    if value is None:
        monkeypatch.delenv("HOME")
    else:
        monkeypatch.setenv("HOME", value)
    import pwd

    assert user_home() == Path(pwd.getpwuid(os.getuid()).pw_dir)
    assert local_path("~/x") == Path(pwd.getpwuid(os.getuid()).pw_dir, "x")


def test_a_user_without_a_home_folder_gets_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("os.getuid", lambda: 3_999_999)
    assert user_home() is None
    with pytest.raises(DomainRouterError, match="~/x: your home folder is unknown: set HOME, or give a path without ~"):
        local_path("~/x")


@pytest.mark.parametrize(
    ("given", "expected"),
    [("owner/name", False), ("name", False), ("~/x", True), ("./x", True), ("/x", True), ("file:///x", True)],
)
def test_a_hub_id_is_told_from_a_path(given: str, expected: bool) -> None:
    assert is_path(given) is expected
    assert is_path(Path(given))


def test_a_field_of_options_takes_paths_as_people_give_them(user: Path) -> None:
    class Example(Options):
        folder: Annotated[Path | None, AS_PATH] = None

    for way in ("~/x", Path("~/x"), (user / "x").as_uri()):
        assert Example(folder=way).folder == user / "x"
    with pytest.raises(DomainRouterError, match="`folder` '~nobody-here': .*there is no user nobody-here"):
        Example(folder="~nobody-here")


def test_a_path_in_a_file_of_options_is_text(user: Path) -> None:
    class Example(Options):
        folder: Annotated[Path | None, AS_PATH] = None

    field = adapter(model_fields(Example)["folder"])
    assert field.validate_json('"~/x"', strict=True) == user / "x"
