"""``domain-router keys``: the access keys of a server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from router_plugin.cli.errors import CommandGroup
from router_plugin.cli.named_values import PATH, named_path
from router_plugin.cli.options import JsonOption
from router_plugin.cli.printing import print_json, print_table, say

ADD = "Example: domain-router keys add gateway --scope route --scope embed --file keys.json"
LIST = "Example: domain-router keys list --file keys.json"
REMOVE = "Example: domain-router keys remove gateway --file keys.json"
SCOPES = ("route", "embed", "train", "admin")

app = typer.Typer(cls=CommandGroup, help="Manage the access keys of a server.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(help="Name of the key's owner.")]
FileOption = Annotated[Path, typer.Option(parser=named_path, metavar=PATH, help="File of keys.")]


@app.command(epilog=ADD)
def add(
    name: NameArgument,
    file: FileOption = Path("keys.json"),
    scope: Annotated[
        list[str],
        typer.Option(help=f"What the key allows: {', '.join(SCOPES[:-1])}, or {SCOPES[-1]} for all. Repeatable."),
    ] = ["route"],  # noqa: B006
    requests_per_minute: Annotated[
        int | None, typer.Option(min=1, help="How often it may be used.", show_default="no limit")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Make a key and print it. It cannot be printed again: the file holds its digest only."""
    from router_plugin.server.protection.keys import Keys

    if unknown := [each for each in scope if each not in SCOPES]:
        raise typer.BadParameter(f"`scope` {unknown[0]}: expected {', '.join(SCOPES)}")
    keys = Keys.load(file) if file.exists() else Keys()
    keys, secret = keys.with_new(name, tuple(dict.fromkeys(scope)), requests_per_minute)  # type: ignore[arg-type]
    keys.save(file)
    if json:
        print_json({"name": name, "key": secret, "scopes": scope})
    else:
        say(f"{file} has a key for {name}, which is shown only now:")
        typer.echo(secret)


@app.command("list", epilog=LIST)
def list_keys(file: FileOption = Path("keys.json"), json: JsonOption = False) -> None:
    """List the keys of a file, without the keys themselves."""
    from router_plugin.server.protection.keys import Keys

    every = Keys.load(file).keys
    if json:
        print_json([each.model_dump(exclude={"digest"}) for each in every])
        return
    rows = [(each.name, ", ".join(each.scopes), each.requests_per_minute or "no limit") for each in every]
    print_table(str(file), ("name", "scopes", "requests per minute"), rows)


@app.command(epilog=REMOVE)
def remove(name: NameArgument, file: FileOption = Path("keys.json")) -> None:
    """Remove a key. Servers that are running know it for a moment longer, see --reload-s of serve."""
    from router_plugin.server.protection.keys import Keys

    Keys.load(file).without(name).save(file)
    say(f"{name} was removed from {file}")
