"""The Hub: what is pushed is what is pulled, and nothing else is taken; the token is shown to nobody but the Hub."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from registry import Registry
from tests import warm
from tests.conftest import ROOT
from tests.registry.exchange.hub_server import TOKEN, HubServer, hub_server
from tests.registry.samples import make_record, write_model

pytestmark = pytest.mark.slow

Run = Callable[..., "subprocess.CompletedProcess[str]"]
NAME = "our-org/medical"


@pytest.fixture(scope="module")
def server() -> Iterator[HubServer]:
    with hub_server() as server:
        yield server


@pytest.fixture
def hub(server: HubServer) -> HubServer:
    """A Hub without repositories."""
    for kept in (server.repositories, server.private, server.objects, server.asked):
        kept.clear()
    return server


@pytest.fixture
def run(hub: HubServer, tmp_path: Path) -> Run:
    """Runs a command on the models of a registry, with the Hub for one."""
    import os

    def run(*arguments: object, registry: str = "registry", **environment: str) -> subprocess.CompletedProcess[str]:
        known = {
            **{"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": hub.address, "HF_TOKEN": TOKEN, "HF_HUB_DISABLE_XET": "1"},
            **{"DOMAIN_ROUTER_HOME": str(tmp_path / "home"), "HF_HOME": str(tmp_path / "hf")},
        }
        command = [warm.command("domain-router"), "models", *map(str, arguments), "--registry", tmp_path / registry]
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=ROOT, env={**os.environ, **known, **environment}, timeout=120
        )
        assert TOKEN not in done.stdout + done.stderr and "Traceback" not in done.stderr, done.stderr
        return done

    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model's files, with a card; registered as medical@1."""
    folder = write_model(tmp_path / "model")
    (folder / "README.md").write_text("---\nlibrary_name: sentence-transformers\n---\n# Medical\n")
    store = Registry.open(tmp_path / "registry")
    store.publish(folder, make_record())
    store.close()
    return folder


def test_what_is_pushed_is_what_is_pulled(run: Run, hub: HubServer, folder: Path, tmp_path: Path) -> None:
    done = run("push", "medical@1", NAME, "--private", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["commit"].startswith(f"{hub.address}/{NAME}/commit/")
    assert hub.private == {NAME: True}
    files = hub.repositories[NAME]
    assert {path for path in files if not path.startswith("domain-router/")} == {
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    }
    assert files["model.safetensors"] == b"weights" and "lfs" in " ".join(hub.asked)
    done = run("pull", NAME, registry="other")
    assert (done.returncode, done.stdout.strip()) == (0, "registered as medical@1"), done.stderr
    store = Registry.open(tmp_path / "other")
    version = store.get("medical")
    assert version.origin is not None and version.origin.name == "medical@1"
    assert version.model_dump(include=set(type(make_record()).model_fields)) == make_record().model_dump()
    assert (store.fetch(version) / "README.md").read_bytes() == files["README.md"]
    store.close()
    assert "nothing added" in run("pull", NAME, registry="other").stdout


def test_a_later_version_takes_the_place_of_the_earlier_one(
    run: Run, hub: HubServer, folder: Path, tmp_path: Path
) -> None:
    assert run("push", "medical@1", NAME).returncode == 0
    (folder / "modules.json").unlink()
    store = Registry.open(tmp_path / "registry")
    store.publish(folder, make_record())
    store.close()
    assert run("push", "medical@2", NAME).returncode == 0
    assert "modules.json" not in hub.repositories[NAME]


def test_a_repository_with_something_else_is_left_alone(run: Run, hub: HubServer, folder: Path) -> None:
    hub.repositories[NAME] = {"thesis.tex": b"years of work", ".gitattributes": b""}
    done = run("push", "medical@1", NAME)
    assert done.returncode == 2 and "thesis.tex" in done.stderr
    assert hub.repositories[NAME] == {"thesis.tex": b"years of work", ".gitattributes": b""}
    done = run("pull", NAME, registry="other")
    assert done.returncode == 2 and "import-model" in done.stderr


CHANGES: list[tuple[str, bytes | None, str]] = [
    ("model.safetensors", b"weighta", "model.safetensors does not have the digest"),
    ("model.safetensors", b"weights" * 1000, "larger than the 7 bytes"),
    ("model.safetensors", None, "404"),
    ("domain-router/manifest.json", b"{}", "not of this build"),
    ("domain-router/origin.json", None, "not of this build"),
    ("domain-router/manifest.json", bytes(5 << 20), "larger than"),
]
"""A file, what is in it now or that it is missing, and what is said of it."""


def test_what_was_changed_on_the_hub_is_not_taken(run: Run, hub: HubServer, folder: Path, tmp_path: Path) -> None:
    assert run("push", "medical@1", NAME).returncode == 0
    whole = dict(hub.repositories[NAME])
    for path, content, said in CHANGES:
        hub.repositories[NAME] = {**whole, path: content} if content else {p: c for p, c in whole.items() if p != path}
        done = run("pull", NAME, registry="other")
        assert done.returncode == 2 and said in done.stderr, done.stderr
    store = Registry.open(tmp_path / "other")
    assert store.versions() == []
    store.close()


def test_what_the_hub_refuses_is_one_line(run: Run, hub: HubServer, folder: Path) -> None:
    for arguments, environment, said in (
        (("pull", NAME), {}, "404"),
        (("push", "medical@1", NAME), {"HF_TOKEN": "hf_wrong"}, "401"),
        (("push", "medical@1", "a/b/c"), {}, "a/b/c"),
        (("pull", NAME), {"HF_ENDPOINT": "http://127.0.0.1:9"}, "cannot be reached"),
        (("pull", NAME), {"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE"),
    ):
        done = run(*arguments, **environment)
        assert done.returncode == 2 and said in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr
