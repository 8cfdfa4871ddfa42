"""One variable moves everything that is kept on a machine, in this process and in those that it starts."""

from __future__ import annotations

from pathlib import Path

import fsspec
import pytest

from registry import DomainRouterError, OutputError, Registry, RegistryError
from registry.shared.build_cache import cached_folder
from registry.shared.home import cache_folder, home
from registry.storage.location import locate
from router_plugin.encoders.usage import Usage
from router_plugin.serving.candidate_store import embed_cached
from tests.conftest import ROOT
from tests.registry.samples import make_record, run_python, write_model
from tests.router_plugin.serving.test_candidates import Counting
from training.errors import LanguageModelError
from training.llm.answer_cache import AnswerCache

VARIABLE = "DOMAIN_ROUTER_HOME"


@pytest.fixture(autouse=True)
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home folder of the user, in which nothing may be left."""
    folder = tmp_path / "user"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.delenv(VARIABLE)
    return folder


def keep_everything(registry: str | None, tmp_path: Path) -> None:
    """Whatever keeps something keeps a little of it."""
    Registry.open(registry).publish(write_model(tmp_path / "model"), make_record())
    cached_folder("profiles", "one", lambda folder: None)
    embed_cached(["a text"], Counting(), "medical@1")
    usage = Usage("registry")
    usage.add(["medical"])
    del usage


@pytest.mark.parametrize("registry", [None, "remote"])
def test_everything_is_kept_in_the_folder_that_the_variable_names(
    tmp_path: Path, user: Path, monkeypatch: pytest.MonkeyPatch, registry: str | None
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "home"))
    url = f"sqlite:///{tmp_path}/remote.db?artifacts=memory://models" if registry else None
    keep_everything(url, tmp_path)
    AnswerCache().put(b"key", "answer")
    fsspec.filesystem("memory").store.clear()
    assert list(user.iterdir()) == []
    kept = {path.name for path in (tmp_path / "home" / "cache").iterdir()}
    assert {"candidates", "llm", "profiles", "usage"} <= kept
    assert (tmp_path / "home" / ("cache/artifacts" if registry else "registry")).is_dir()


def test_child_processes_use_the_same_folder(tmp_path: Path, user: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "home"))
    run_python("from registry import Registry\nRegistry.open().create()")
    assert (tmp_path / "home" / "registry" / "registry.db").is_file()
    assert list(user.iterdir()) == []


def test_the_default_is_a_hidden_folder_in_the_users_home(user: Path) -> None:
    assert home() == user / ".domain-router"
    assert cache_folder("llm") == user / ".domain-router" / "cache" / "llm"


@pytest.mark.parametrize(
    ("value", "expected"),
    [("", ".domain-router"), (" ", ".domain-router"), ("~/models", "models"), ("relative", "work/relative")],
)
def test_empty_relative_and_tilde_values(
    user: Path, monkeypatch: pytest.MonkeyPatch, value: str, expected: str
) -> None:
    (user / "work").mkdir()
    monkeypatch.chdir(user / "work")
    monkeypatch.setenv(VARIABLE, value)
    assert home() == user / expected
    assert locate(None).artifacts == str(user / expected / "registry" / "artifacts")


@pytest.mark.parametrize(
    ("value", "said"),
    [("s3://bucket", "is a URL: expected a path"), ("~nobody-here/x", "there is no user nobody-here")],
)
def test_a_value_that_is_not_a_folder_is_refused(monkeypatch: pytest.MonkeyPatch, value: str, said: str) -> None:
    monkeypatch.setenv(VARIABLE, value)
    with pytest.raises(OutputError, match=f"{VARIABLE} {value}: {said}"):
        home()


def test_an_unwritable_folder_stops_only_what_has_to_be_kept_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "file"))
    keep_everything(str(tmp_path / "registry"), tmp_path)
    with pytest.raises(
        LanguageModelError, match=f"answers cannot be kept: {tmp_path}/file/cache/llm: cannot be created"
    ):
        AnswerCache()
    with pytest.raises(RegistryError, match=f"{tmp_path}/file"):
        Registry.open().create()


def test_without_a_home_folder_only_what_has_to_be_kept_there_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The user of a container may have neither a variable HOME nor an entry in the user database."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("os.getuid", lambda: 3_999_999)
    keep_everything(str(tmp_path / "registry"), tmp_path)
    assert "your home folder is unknown, and DOMAIN_ROUTER_HOME is not set" in caplog.text
    assert not (tmp_path / "~").exists()
    for keep in (AnswerCache, Registry.open):
        with pytest.raises(DomainRouterError, match=f"home folder is unknown: set {VARIABLE}"):
            keep()


def test_only_one_module_knows_the_folder() -> None:
    sources = [path for room in ("registry", "training", "router_plugin") for path in (ROOT / room).rglob("*.py")]
    assert len(sources) > 100
    knowing = {path.name for path in sources if "expanduser() /" in path.read_text(encoding="utf-8")}
    assert knowing == set()
