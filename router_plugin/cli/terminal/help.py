"""The list of commands in ``--help``: by task, with whole summaries, and with examples that can be copied."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typer.core import TyperGroup

TASKS: Mapping[str, Mapping[str, Sequence[str]]] = {
    "domain-router": {
        "Begin": ("init", "quickstart"),
        "Prepare and train": ("prepare", "synthesize", "assess", "train", "train-many", "encode", "variants"),
        "Register and exchange": ("models",),
        "Route and serve": ("route", "routes", "serve", "deploy", "mcp", "export", "joint-space"),
        "Measure": ("compare", "classifier", "canary"),
        "Look after": ("doctor", "keys", "index", "reindex", "plugins"),
    },
    "models": {
        "Register and exchange": (
            *("add", "import-model", "export", "import", "push", "pull"),
            *("sign", "verify-signature", "bom"),
        ),
        "Look": ("list", "show", "diff", "history", "at"),
        "Promote": ("promote", "gate", "rollback", "alias", "retire", "policy", "keys"),
        "Look after": ("verify", "delete", "restore", "gc", "webhooks"),
    },
}
"""Of groups with many commands, the tasks that each command is listed under; the first is the task's example."""

OTHERS = "Added by plugins"
EXAMPLES = 6
"""At the end of a group's help."""

_EXAMPLE = "Example: "
_FLAG = re.compile(r"(--[\w-]+) (?!--)")
_FIRST = re.compile(r"[.:;](\s|$)")


def summary(text: str | None) -> str:
    """The first clause of a command's help, whole."""
    paragraph = " ".join((text or "").split("\n\n")[0].split())
    return _FIRST.split(paragraph, maxsplit=1)[0]


def by_task(group: TyperGroup) -> dict[str, dict[str, Any]]:
    """The commands of a group that are shown, by task; those that no task names come last."""
    left = {name: command for name, command in group.commands.items() if not command.hidden}
    tasks = TASKS.get(group.name or "", {})
    found = {task: {name: left.pop(name) for name in names if name in left} for task, names in tasks.items()}
    return {**found, OTHERS if tasks else "Commands": left}


def write_commands(group: TyperGroup, formatter: Any) -> None:
    """Write the lists of commands, their summaries in one column."""
    sections = {task: commands for task, commands in by_task(group).items() if commands}
    widest = max((len(name) for commands in sections.values() for name in commands), default=0)
    for task, commands in sections.items():
        with formatter.section(task):
            formatter.write_dl([(name.ljust(widest), summary(command.help)) for name, command in commands.items()])


def write_examples(group: TyperGroup, formatter: Any) -> None:
    """Write an example of each task, or of the first commands; long ones go on in a second line, as shells read it."""
    tasks = [list(commands.values()) for commands in by_task(group).values() if commands]
    firsts = [commands[0] for commands in tasks] if len(tasks) > 1 else tasks[0] if tasks else []
    found = list(islice(filter(None, map(_example, firsts)), EXAMPLES))
    if found:
        with formatter.section("Examples" if len(found) > 1 else "Example"):
            for line in (line for example in found for line in _lines(example, formatter.width)):
                formatter.write(f"  {line}\n")


def _example(command: Any) -> str:
    """The example of a command, or of the first one in a group."""
    for each in _leaves(command):
        return (each.epilog or "").removeprefix(_EXAMPLE)
    return ""


def _leaves(command: Any) -> Iterator[Any]:
    if not hasattr(command, "commands"):
        yield command
        return
    for commands in by_task(command).values():
        for each in commands.values():
            yield from _leaves(each)


def _lines(command: str, width: int) -> list[str]:
    """A command in lines that a shell joins again; a flag stays with its value."""
    held = _FLAG.sub("\\1\0", command)
    lines = textwrap.wrap(held, width - 4, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
    return [line.replace("\0", " ") for line in (*(f"{line} \\" for line in lines[:-1]), *lines[-1:])]
