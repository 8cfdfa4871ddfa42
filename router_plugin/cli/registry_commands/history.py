"""``domain-router models``: what aliases referred to and why they moved, and how two versions differ."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Annotated

import typer

from router_plugin.cli.options import JsonOption, RegistryOption
from router_plugin.cli.printing import print_json, print_table, say, shown
from router_plugin.cli.registry_commands.models import Reference
from router_plugin.cli.terminal.completion import complete_domain

if TYPE_CHECKING:
    from registry.aliasing.history import Move
    from registry.catalog.differences import Changed

app = typer.Typer()
"""Commands that belong to those of ``models``."""

DomainArgument = Annotated[str, typer.Argument(help="Name of the domain.", autocompletion=complete_domain)]


@app.command(epilog="Example: domain-router models history medical --alias champion")
def history(
    domain: DomainArgument,
    alias: Annotated[str | None, typer.Option(help="Only this alias.", show_default=False)] = None,
    registry: RegistryOption = None,
    json: JsonOption = False,
) -> None:
    """List every move of a domain's aliases: who, when, from, to, why, and what the gate said."""
    from router_plugin.plugins.registries import open_registry

    store = open_registry(registry)
    moves = store.history(domain, alias)
    if json:
        print_json([move.model_dump(mode="json") for move in moves])
        return
    if not moves:
        say(f"nothing is known of {domain}{f'@{alias}' if alias else ''} in {store.url}")
        return
    columns = ("when (UTC)", "alias", "from", "to", "operation", "who", "gate", "why")
    print_table(f"{domain} in {store.url}", columns, [_row(move) for move in moves])
    for move in moves:
        for verdict in move.gate:
            if not verdict["passed"]:
                say(f"{domain}@{move.version} was forced against {verdict['rule']}: {verdict['text']}")


@app.command(epilog="Example: domain-router models at medical 2026-11-01T12:00")
def at(
    domain: DomainArgument,
    time: Annotated[str, typer.Argument(help="Date and time in ISO 8601; UTC where it has no zone.")],
    registry: RegistryOption = None,
    json: JsonOption = False,
) -> None:
    """Show what every alias referred to at a time."""
    from router_plugin.plugins.registries import open_registry

    when = _time(time)
    store = open_registry(registry)
    found = store.at(domain, when)
    if json:
        print_json({"time": when.isoformat(), "aliases": found})
        return
    said = ", ".join(f"{alias} was {domain}@{version}" for alias, version in sorted(found.items()))
    say(f"at {when:%Y-%m-%d %H:%M:%S} UTC {said or f'{domain} had no alias'}")


@app.command(epilog="Example: domain-router models diff medical@2 medical@3")
def diff(
    before: Reference,
    after: Reference,
    registry: RegistryOption = None,
    json: JsonOption = False,
) -> None:
    """Show how two versions differ: options, data, metrics, files, base model, vector space."""
    from registry.catalog.differences import differences
    from router_plugin.plugins.registries import open_registry

    store = open_registry(registry)
    found = differences(store.get(before), store.get(after))
    if json:
        print_json(found.model_dump(mode="json"))
        return
    sides = (found.before, found.after)
    rows = [
        *_rows("base model", found.base_model),
        *_rows("recipe", {"": found.recipe} if found.recipe else {}),
        *_rows("option", found.options),
        *_rows("data", found.data),
        *_rows("vector space", found.vector_space),
        *_rows("ranking", {"": found.ranking} if found.ranking else {}),
        *_rows("file", found.files),
    ]
    if rows:
        print_table(f"{found.before} and {found.after}", ("part", "name", *sides), rows)
    else:
        say(f"{found.before} and {found.after} differ in nothing but their metrics, if at all")
    metrics = [
        (name, metric, shown(each.before, 4), shown(each.after, 4), _difference(each.difference), _same(each.same_data))
        for name, values in found.metrics.items()
        for metric, each in values.items()
    ]
    print_table("metrics", ("test set", "metric", *sides, "difference", "same data"), metrics)


def _time(text: str) -> datetime:
    """A time in UTC.

    Raises:
        typer.BadParameter: it is not one.
    """
    try:
        time = datetime.fromisoformat(text)
        return time.replace(tzinfo=timezone.utc) if time.tzinfo is None else time.astimezone(timezone.utc)
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"`time` {text!r}: expected a date and time, like 2026-11-01T12:00") from None


def _row(move: Move) -> tuple[object, ...]:
    passed = sum(verdict["passed"] for verdict in move.gate)
    verdict = f"{passed} of {len(move.gate)} passed" if move.gate else ""
    return (
        f"{move.moved:%Y-%m-%d %H:%M:%S}",
        move.alias,
        "" if move.previous is None else str(move.previous),
        "removed" if move.version is None else str(move.version),
        move.kind,
        move.author,
        f"{verdict}, forced" if move.forced else verdict,
        move.why or "",
    )


def _rows(part: str, changed: dict[str, Changed]) -> list[tuple[object, ...]]:
    return [(part, name, each.before, each.after) for name, each in changed.items()]


def _difference(value: float | None) -> str:
    return "" if value is None else f"{value:+.4f}"


def _same(same: bool) -> str:
    return "yes" if same else "no"
