"""Every command and code block of the README and the docs runs, and all that can be set is documented."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pluggy
import pytest
import typer.main

from router_plugin import Settings, hookspecs, load_routes
from router_plugin.cli import app
from training.recipes.recipes import RECIPES

from .conftest import ROOT

NAMES = (
    *("synthesize", "prepare", "train", "encoders", "registry", "route", "strategies", "joint-space"),
    *("classifier", "plugins", "semantic-router", "ready-made"),
)
PAGES = [ROOT / "README.md", *(ROOT / "docs" / f"{name}.md" for name in (*NAMES, "training-recipes"))]
PAIRS, CHARACTERS = 24, 200
"""Of each example domain, and of an answer, so that the pages' training runs are short."""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tracked files whose ``.venv`` is this environment, with small example data."""
    folder = tmp_path_factory.mktemp("checkout")
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    for name in filter(None, tracked.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())
    for data in (folder / "examples" / "data").glob("*.jsonl"):
        pairs = [json.loads(line) for line in data.read_text(encoding="utf-8").splitlines()[:PAIRS]]
        short = [{**pair, "answer": pair["answer"][:CHARACTERS]} for pair in pairs]
        data.write_text("".join(json.dumps(pair) + "\n" for pair in short), encoding="utf-8")
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / ".venv" / ".quickstart").touch()
    return folder


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def run(command: list[str], checkout: Path) -> str:
    environment = {**os.environ, "PATH": f"{Path(sys.prefix) / 'bin'}:{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, env=environment, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.docs
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_shows_runs(page: Path, checkout: Path) -> None:
    script = "\n".join(blocks(page, "bash")).replace("make test", "make -n test")  # which would run this test again
    if script:
        assert run(["bash", "-euo", "pipefail", "-c", script], checkout)
    for code in blocks(page, "python"):
        run([sys.executable, "-c", code], checkout)
    for routes in blocks(page, "yaml"):
        (checkout / "page.yaml").write_text(routes, encoding="utf-8")
        assert load_routes(checkout / "page.yaml")


def test_every_page_is_run_and_linked_from_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for page in (ROOT / "docs").glob("*.md"):
        assert page in PAGES
        assert f"docs/{page.name}" in readme


def test_every_hook_is_documented_in_its_own_words() -> None:
    page = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    hooks = [hook for name, hook in vars(hookspecs).items() if hasattr(hook, f"{hookspecs.PROJECT}_spec")]
    assert hooks
    for hook in hooks:
        arguments, _ = pluggy._hooks.varnames(hook)
        assert f"| `{hook.__name__}({', '.join(arguments)})` | {hook.__doc__} |" in page


def test_every_setting_is_documented_with_its_default() -> None:
    page = (ROOT / "docs" / "route.md").read_text(encoding="utf-8")
    for setting in fields(Settings):
        assert f"| `{setting.name}` | {setting.default} |" in page


def test_every_number_of_every_recipe_is_documented_with_its_default() -> None:
    page = (ROOT / "docs" / "train.md").read_text(encoding="utf-8")
    names = {name for recipe in RECIPES.values() for name in recipe.model_fields}
    for name in names:
        defaults = [getattr(recipe(), name, "") for recipe in RECIPES.values()]
        shown = " *[|] ".join("the [^|]+" if value is None else re.escape(str(value)) for value in defaults)
        assert re.search(rf"^[|] `--{name.replace('_', '-')}` [|] {shown} *[|]", page, re.MULTILINE), name


def test_every_command_is_documented() -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    command = typer.main.get_command(app)
    names = []
    for name, each in command.commands.items():  # type: ignore[attr-defined]
        names += [f"{name} {part}" for part in each.commands] if hasattr(each, "commands") else [name]
    for name in names:
        assert re.search(rf"\b{name}\b", text), name
