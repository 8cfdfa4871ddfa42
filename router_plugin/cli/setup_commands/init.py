"""``domain-router init``: writes a project folder that runs as it stands, with every option explained."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from registry.errors import OutputError
from router_plugin.cli.named_values import named_path
from router_plugin.cli.options import JsonOption
from router_plugin.cli.printing import print_json, say

EXAMPLE = "Example: domain-router init my-domain"

PROJECT = Path(__file__).with_name("project")
"""The files as they are written."""
NAMES = {"gitignore": ".gitignore"}
"""Of files that would have a meaning here, too."""


def init(
    folder: Annotated[Path, typer.Argument(parser=named_path, help="Folder to write; it must be empty or not exist.")],
    json: JsonOption = False,
) -> None:
    """Write a project folder to begin with: example data, routes, options of each step, and a Makefile."""
    from registry.shared.outputs import make_folder, write_atomically

    _check_empty(folder)
    sources = {NAMES.get(name, name): path for name, path in _files().items()}
    for name, source in sources.items():
        make_folder((folder / name).parent)
        write_atomically(folder / name, source.read_text(encoding="utf-8"))
    if json:
        print_json({"folder": str(folder), "files": list(sources)})
        return
    for name in sources:
        say(folder / name)
    say(f"next: cd {shlex.quote(str(folder))} && make")


def _files() -> dict[str, Path]:
    """The files of a project by their relative names."""
    files = (path for path in sorted(PROJECT.rglob("*")) if path.is_file())
    return {path.relative_to(PROJECT).as_posix(): path for path in files}


def _check_empty(folder: Path) -> None:
    """Make sure that nothing is written over.

    Raises:
        OutputError: the folder holds something, is a file, or cannot be read.
    """
    try:
        if folder.exists() and any(folder.iterdir()):
            raise OutputError(f"{folder}: is not empty: choose a new folder")
    except OSError as error:
        raise OutputError(f"{folder}: cannot be used: {error.strerror}: choose a new folder") from error
