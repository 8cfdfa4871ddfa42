"""Every public function that takes a path takes text, a Path, a file URL and a tilde."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from registry import Profile, Registry, resolve_base_model
from router_plugin import DomainRouter, Fitted, load_domains, load_routes, open_registry, read_labelled_queries
from router_plugin.evaluation.fitted import NOT_FITTED
from router_plugin.serving.domains import ServedDomains
from tests.conftest import EXAMPLES
from training import (
    find_model,
    prepare,
    prepare_source,
    publish,
    read_beir,
    read_labels,
    read_logs,
    read_pairs,
    read_prepared,
    read_triplets,
    synthesize,
)
from training.llm.answer_cache import AnswerCache
from training.reporting.report import TrainingReport
from training.sources.kinds import BUILT_IN

Way = Callable[[Path], Any]

WAYS: dict[str, Way] = {
    "text": str,
    "path": lambda path: path,
    "url": Path.as_uri,
    "tilde": lambda path: f"~/{path.relative_to(Path.home())}",
    "tilde in a path": lambda path: Path("~", path.relative_to(Path.home())),
    "tilde in a url": lambda path: f"file://~/{path.relative_to(Path.home())}",
}


@pytest.fixture(params=WAYS.values(), ids=WAYS)
def way(request: pytest.FixtureRequest) -> Way:
    """One way to write a path."""
    found: Way = request.param
    return found


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder with a space in its name; nothing may be left in the working folder."""
    home, work = tmp_path / "a user", tmp_path / "work"
    for folder in (home, work):
        folder.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(work)
    return home


def test_sources_and_prepared_data(user: Path, way: Way) -> None:
    shutil.copytree(EXAMPLES, user / "examples")
    examples = user / "examples"
    pairs = way(examples / "data" / "legal.jsonl")
    assert len(read_pairs(pairs, unlabelled=pairs).unlabelled) == 1000
    assert read_labels(way(examples / "labelled_routes.jsonl")).texts
    assert read_logs(way(examples / "router_log.jsonl")).texts
    assert read_triplets(way(examples / "triplets.jsonl")).queries
    assert read_beir(way(examples / "beir")).queries
    assert read_labelled_queries(way(examples / "labelled_routes.jsonl")).queries
    assert load_routes(way(examples / "routes.yaml"))
    assert load_domains(way(examples / "domains.yaml"))
    prepare(read_pairs(pairs), way(user / "one"))
    prepare_source(BUILT_IN[0], pairs, way(user / "two"))
    assert read_prepared(way(user / "one")) == read_prepared(way(user / "two"))
    (user / "notes.txt").write_text(
        "The landlord must mend the boiler. " * 20 + "Bats are mammals that fly at night. " * 20
    )
    assert synthesize(way(user / "notes.txt")).documents == 1
    AnswerCache(way(user / "answers")).put(b"key", "answer")
    assert (user / "answers" / "answers.db").is_file()
    assert list(Path().iterdir()) == []


def test_models_and_registries(user: Path, way: Way, tiny_models: dict[str, Path], served: Path) -> None:
    model = user / "model"
    shutil.copytree(tiny_models["legal"], model)
    assert find_model(way(model)) == model
    assert resolve_base_model(way(model)).path == model
    assert TrainingReport.load(way(model)).domain == "legal"
    assert Profile.load(way(model)).base
    store = Registry.open(way(user / "registry"))
    version = publish(way(model), store, force=True)
    assert store.find_by_content(way(model)) == version
    assert open_registry(way(user / "registry")).get("legal") == version
    NOT_FITTED.save(way(user / "fitted.json"))
    assert Fitted.load(way(user / "fitted.json")).thresholds == {}
    shutil.copy(EXAMPLES / "legal_routes.yaml", user / "routes.yaml")
    with DomainRouter(way(user / "routes.yaml"), way(user / "registry")) as router:
        assert router.domains == ("general", "legal")
    with ServedDomains(way(user / "registry"), base_model=way(model)) as domains:
        assert domains.base.path == model
    assert list(Path().iterdir()) == []
