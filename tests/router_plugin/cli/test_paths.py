"""Paths and registries on the command line: one rule for every option, argument, file of options and variable."""

from __future__ import annotations

import inspect
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import typer

from router_plugin.cli import app
from router_plugin.cli.named_values import named_path
from tests.conftest import EXAMPLES

ROUTES = EXAMPLES / "routes.yaml"


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder; the working folder is another one."""
    for name in ("user", "work"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "user"


def callbacks(group: typer.Typer) -> Iterator[Any]:
    yield from (command.callback for command in group.registered_commands)
    for inner in group.registered_groups:
        yield from callbacks(inner.typer_instance)


def test_every_parameter_that_is_a_path_is_read_by_the_same_rule() -> None:
    found = 0
    for callback in callbacks(app):
        for parameter in inspect.signature(callback, eval_str=True).parameters.values():
            given = get_args(parameter.annotation)
            if given and "Path" in str(given[0]):
                option = next(each for each in given[1:] if hasattr(each, "parser"))
                parser = option.parser
                assert parser is named_path or parser("~/x") == Path("~/x").expanduser(), (callback, parameter.name)
                found += 1
    assert found > 20


def test_a_tilde_is_the_home_folder_for_options_arguments_and_named_values(
    cli: Any, user: Path, pairs_file: Path
) -> None:
    shutil.copy(pairs_file, user / "my.jsonl")
    status, _, err = cli("prepare", "~/my.jsonl", "--unlabelled=~/my.jsonl", "--out=~/prepared")
    assert (status, err) == (0, "")
    config = user / "train.yaml"
    config.write_text("out: ~/model\ndomain: legal\nbase_model: ~/none\n")
    for arguments in (
        ("train", "~/prepared", "--config=~/train.yaml"),
        ("train", "~/prepared", "--domain=x", "--out=~/model", "--base-model=~/none"),
        ("train", "a=~/prepared", "--mix=b=~/prepared", "--also-evaluate=c=~/prepared", "--config", config),
    ):
        status, _, err = cli(*arguments)
        assert (status, err) == (2, "error: base model ~/none: folder not found\n")
    routes = user / "routes.yaml"
    routes.write_text("routes: [{name: one, utterances: [hello]}]")
    for arguments, missing in (
        (("route", "hi", "--routes=~/r.yaml"), "r.yaml: cannot be read"),
        (("route", "--batch=~/q.txt", "--routes=~/routes.yaml"), "q.txt: cannot be read"),
        (("route", "hi", "--routes", routes, "--fitted=~/f.json"), "f.json: cannot be read"),
        (("route", "hi", "--routes", routes, "--extra-domains=~/d.yaml"), "d.yaml: cannot be read"),
        (("variants", "~/model", "--data=~/prepared", "--backend=onnx"), "model: no report.json"),
        (("models", "add", "~/model"), "is neither a folder"),
        (("synthesize", "~/docs", "--out=~/pairs.jsonl"), "docs: cannot be read"),
        (("prepare", "~/beir", "--kind=beir", "--out=~/b"), "not a folder"),
        (("prepare", "~/r.yaml", "--kind=routes", "--out=~/b"), "r.yaml: cannot be read"),
        (("classifier", "evaluate", "~/q.jsonl"), ""),
    ):
        status, _, err = cli(*arguments)
        assert status == 2 and missing in err and len(err.splitlines()) == 1, err
    assert list(Path().iterdir()) == []


def test_file_urls_name_files(cli: Any, user: Path, pairs_file: Path) -> None:
    status, _, err = cli("prepare", pairs_file.as_uri(), "--out", (user / "prepared").as_uri())
    assert (status, err) == (0, "")
    assert (user / "prepared" / "manifest.json").is_file()
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(
    ("out", "said"),
    [("~nobody-here/out", "there is no user nobody-here"), ("s3://bucket/out", "is a URL: expected a path")],
)
def test_a_folder_that_cannot_be_is_refused_by_name(
    cli: Any, user: Path, pairs_file: Path, out: str, said: str
) -> None:
    status, _, err = cli("prepare", pairs_file, "--out", out)
    assert status == 2 and f"Invalid value for '--out': {out}: {said}" in err
    assert list(Path().iterdir()) == []


READING = [
    ("models", "list"),
    ("models", "show", "legal"),
    ("models", "promote", "legal"),
    ("models", "rollback", "legal"),
    ("models", "verify"),
    ("route", "hi", "--routes", str(ROUTES)),
    ("routes", "evaluate", str(EXAMPLES / "labelled_routes.jsonl"), "--routes", str(ROUTES)),
    ("classifier", "evaluate", str(EXAMPLES / "labelled_routes.jsonl")),
    ("joint-space", "out"),
    ("compare", "--queries", str(EXAMPLES / "labelled_routes.jsonl"), "--routes", str(ROUTES)),
]


@pytest.mark.parametrize("way", ["option", "variable"])
@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_a_command_that_reads_refuses_a_registry_that_does_not_exist_and_makes_nothing(
    cli: Any, user: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], way: str
) -> None:
    if way == "variable":
        monkeypatch.setenv("DOMAIN_ROUTER_REGISTRY", "typo")
    status, out, err = cli(*command, *(("--registry", "typo") if way == "option" else ()))
    assert (status, out) == (2, "")
    assert "typo" in err and "no registry found" in err
    assert ("DOMAIN_ROUTER_REGISTRY" in err) == (way == "variable")
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("value", ["", " "])
def test_the_default_registry_is_empty_where_it_does_not_exist_and_is_not_made(
    cli: Any, user: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("DOMAIN_ROUTER_REGISTRY", value)
    monkeypatch.setenv("DOMAIN_ROUTER_HOME", value)
    status, out, _ = cli("models", "list")
    assert status == 0 and out.startswith(f"nothing is registered in sqlite:///{user}/.domain-router/registry")
    assert cli("models", "verify")[0] == 0
    assert list(user.iterdir()) == []


@pytest.mark.parametrize("variable", ["DOMAIN_ROUTER_REGISTRY", "DOMAIN_ROUTER_HOME"])
def test_a_variable_with_a_bad_value_is_named(
    cli: Any, user: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "~nobody-here/x")
    status, _, err = cli("models", "list")
    assert status == 2 and "~nobody-here/x" in err and "there is no user nobody-here" in err and variable in err
