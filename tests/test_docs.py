"""Every page is run, and all that can be set is documented."""

from __future__ import annotations

import re

import pluggy
import typer.main

from router_plugin import Settings, hookspecs
from router_plugin.cli import app
from training.recipes.recipes import RECIPES

from .conftest import ROOT
from .docs.pages import ARCHITECTURE, README, SERVING, TRAINING, path_of

PAGES = [path_of(page) for page in (*README, *TRAINING, *SERVING, *ARCHITECTURE)]


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
    for name, setting in Settings.model_fields.items():
        assert f"| `{name}` | {setting.default} |" in page


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
