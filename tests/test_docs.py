"""Every page is run, and all that can be set is documented."""

from __future__ import annotations

import re
from pathlib import Path

import pluggy
import pytest
import typer.main
import yaml

from docs_build.drawings import DRAWINGS, FOLDER
from router_plugin import hookspecs
from router_plugin.cli import app
from router_plugin.deployment.deployed import Deployed

from .conftest import ROOT
from .docs.pages import ARCHITECTURE, CLUSTER, NOT_HERE, README, SERVING, TRAINING, blocks, path_of
from .docs.tables import TABLES, with_tables

PAGES = [path_of(page) for page in (*README, *TRAINING, *SERVING, *CLUSTER, *ARCHITECTURE)]


def test_every_page_is_run_and_linked_from_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for page in (ROOT / "docs").glob("*.md"):
        assert page in PAGES
        assert f"docs/{page.name}" in readme


@pytest.mark.parametrize("page", CLUSTER)
def test_only_programs_that_are_not_here_are_shown_and_not_run(page: str) -> None:
    shown = "".join(blocks(page, "sh")).replace("\\\n", " ").splitlines()
    assert {line.split()[0] for line in shown} <= set(NOT_HERE)


def test_the_arguments_of_the_ray_service_are_options_of_a_deployment() -> None:
    (shown,) = (block for block in blocks("deploy", "text") if block.startswith("args:"))
    deployed = Deployed(**yaml.safe_load(shown)["args"])
    assert deployed.settings.strategy == "adaptive" and deployed.ray.max_replicas == 8


def test_the_readme_is_one_screen_with_two_commands_of_which_ci_runs_the_second() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 60
    assert blocks("README", "bash") == ["make quickstart\n", "make test\n"]
    assert (ROOT / ".ci" / "run").read_text(encoding="utf-8").endswith("\nexec make test\n")


def test_the_glossary_has_each_term_once_in_order() -> None:
    page = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    names = re.findall(r"^\| ([^|]+) \| [^|]+ \|$", page, re.MULTILINE)
    assert names.pop(0) == "term"
    terms = [term.casefold() for name in names for term in name.split(", ")]
    assert len(set(terms)) == len(terms) > 40
    assert names == sorted(names, key=str.casefold)


@pytest.mark.parametrize("name", DRAWINGS)
def test_drawings_are_what_their_script_draws(name: str) -> None:
    assert (FOLDER / f"{name}.svg").read_text(encoding="utf-8") == DRAWINGS[name](), (
        "run: python -m docs_build.drawings"
    )


def test_every_hook_is_documented_in_its_own_words() -> None:
    page = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    hooks = [hook for name, hook in vars(hookspecs).items() if hasattr(hook, f"{hookspecs.PROJECT}_spec")]
    assert hooks
    for hook in hooks:
        arguments, _ = pluggy._hooks.varnames(hook)
        assert f"| `{hook.__name__}({', '.join(arguments)})` | {hook.__doc__} |" in page


@pytest.mark.parametrize("page", [page for page in PAGES if "<!-- options: " in page.read_text(encoding="utf-8")])
def test_tables_of_options_say_what_the_models_declare(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert with_tables(text) == text, "run: python -m tests.docs.tables"


def test_every_declared_option_has_a_table() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert all(f"<!-- options: {name} -->" in text for name in TABLES)


def test_every_command_is_documented() -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    command = typer.main.get_command(app)
    names = []
    for name, each in command.commands.items():  # type: ignore[attr-defined]
        names += [f"{name} {part}" for part in each.commands] if hasattr(each, "commands") else [name]
    for name in names:
        assert re.search(rf"\b{name}\b", text), name
