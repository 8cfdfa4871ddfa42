"""The page of all commands, made of the command line itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import typer.main

from docs_build.markdown import cell, table
from router_plugin.cli import app

INTRODUCTION = """# Commands

Every command with its arguments and options, as `--help` prints them. This page is generated from the command line.
Options that a command reads from a file with `--config` have the same names there, with `_` in place of `-`.
[Settings and options](settings.md) has them with their types, and links to where they are explained.
"""


def page() -> str:
    """The page, in Markdown."""
    return "\n".join([INTRODUCTION, *_sections(typer.main.get_command(app), ["domain-router"])])


def _sections(command: Any, path: list[str]) -> Iterator[str]:
    context = command.make_context(path[-1], [], resilient_parsing=True)
    if hasattr(command, "commands"):
        for name, each in command.commands.items():
            if not each.hidden:
                yield from _sections(each, [*path, name])
        return
    yield f"## {' '.join(path[1:])}\n"
    pieces = " ".join(command.collect_usage_pieces(context))
    yield f"```text\n{' '.join(path)} {pieces}\n```\n"
    if command.help:
        yield f"{_paragraphs(command.help)}\n"
    rows = [row for parameter in command.params if (row := _row(parameter, context))]
    yield table(("argument or option", "meaning"), rows)
    if command.epilog:
        yield f"```text\n{_plain(command.epilog)}\n```\n"


def _row(parameter: Any, context: Any) -> tuple[str, str] | None:
    """An argument's or an option's row; None where it is hidden, or is ``--help``."""
    if parameter.name == "help" or getattr(parameter, "hidden", False):
        return None
    record = parameter.get_help_record(context)
    if record is None:
        return (f"`{parameter.make_metavar(context)}`", "")
    names, text = record
    return (f"`{names.strip()}`", cell(_plain(text)))


def _plain(text: str) -> str:
    return re.sub("\b\n?", "", text).strip()


def _paragraphs(text: str) -> str:
    return _plain(text).replace("``", "`")
