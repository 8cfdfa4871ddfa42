"""``--help``: commands by task, whole summaries, examples that a shell reads, and the version."""

from __future__ import annotations

import re
import shlex
from importlib.metadata import version

import pytest
import typer
import typer.main
from typer.testing import CliRunner

from router_plugin.cli import app
from router_plugin.cli.errors import CommandGroup
from router_plugin.cli.terminal.help import OTHERS, TASKS, by_task, summary
from tests.router_plugin.cli.test_cli import COMMANDS

ROOT = typer.main.get_command(app)
GROUPS = {(): ROOT, **{path[:n]: None for path in COMMANDS for n in range(1, len(path))}}


def group_at(path):
    found = ROOT
    for name in path:
        found = found.commands[name]
    return found


def examples(out):
    """The examples at the end of a help text, as a shell reads them."""
    lines = re.split(r"^Examples?:\n", out, flags=re.MULTILINE)[1].replace("\\\n", " ").splitlines()
    return [shlex.split(line) for line in lines]


def test_the_version_is_that_of_the_package(cli):
    assert cli("--version") == (0, f"domain-router {version('domain-router')}\n", "")


@pytest.mark.parametrize("path", GROUPS, ids=lambda path: " ".join(path) or "all")
@pytest.mark.parametrize("columns", [80, 200])
def test_a_group_shows_whole_summaries_and_examples_within_80_columns(cli, monkeypatch, path, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    status, out, _ = cli(*path, "--help")
    assert status == 0 and "..." not in out.replace("[ARGS]...", "")
    assert max(map(len, out.splitlines())) <= 80
    for commands in by_task(group_at(path)).values():
        for name, command in commands.items():
            assert f"{name} {summary(command.help)}" in " ".join(out.split())
    found = examples(out)
    assert found and all(words[: len(path) + 1] == ["domain-router", *path] for words in found)


@pytest.mark.parametrize("path", [(), ("models",)])
def test_every_command_of_ours_has_a_task_and_a_summary_of_one_line(cli, path):
    group = group_at(path)
    assert by_task(group)[OTHERS] == {}
    assert {name for names in TASKS[group.name].values() for name in names} == set(group.commands)
    width = 78 - 4 - max(map(len, group.commands))
    assert {name: summary(each.help) for name, each in group.commands.items() if len(summary(each.help)) > width} == {}


def test_commands_of_plugins_are_listed_on_their_own():
    ours = typer.Typer(cls=CommandGroup, name="domain-router", rich_markup_mode=None)
    ours.callback()(lambda: None)
    for name in ("train", "shout"):
        ours.command(name, help=f"Does {name}: and more.")(lambda: None)
    out = CliRunner().invoke(ours, ["--help"]).output
    assert out.index("Prepare and train:") < out.index("train  Does train\n") < out.index(f"{OTHERS}:")
    assert out.index(f"{OTHERS}:") < out.index("shout  Does shout\n")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Say it: loudly.", "Say it"),
        ("Say it. Loudly.", "Say it"),
        ("Say it\nloudly; at once.", "Say it loudly"),
        ("Speaks 1.6 as JSON, at 12:00.\n\nMore.", "Speaks 1.6 as JSON, at 12:00"),
        (None, ""),
    ],
)
def test_a_summary_is_the_first_clause(text, said):
    assert summary(text) == said
