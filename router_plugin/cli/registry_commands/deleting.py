"""``domain-router models alias``, ``retire``, ``delete``, ``restore`` and ``gc``."""

from __future__ import annotations

from typing import Annotated

import typer

from router_plugin.cli.options import JsonOption, RegistryOption
from router_plugin.cli.printing import print_json, say
from router_plugin.cli.registry_commands.models import Reference, WhyOption, app
from router_plugin.cli.registry_commands.promotion import KeyFileOption, opened


@app.command(epilog="Example: domain-router models alias medical@3 staging")
def alias(
    reference: Reference,
    name: Annotated[str, typer.Argument(help="Name of the alias, such as staging.")],
    remove: Annotated[bool, typer.Option("--remove", help="Remove the alias of this domain.")] = False,
    why: WhyOption = None,
    key_file: KeyFileOption = None,
    registry: RegistryOption = None,
    json: JsonOption = False,
) -> None:
    """Let an alias of your own point to a version."""
    from registry.names import parse_reference

    store = opened(registry, key_file)
    if not remove:
        version = store.alias(reference, name, why)
        _say(f"{version.domain}@{name} is {version.name} now", {"alias": name, "version": version.name}, json)
        return
    domain = parse_reference(reference).domain
    if domain != reference:
        raise typer.BadParameter(f"{reference} is a version: give the domain: {domain}")
    number = store.remove_alias(domain, name, why)
    _say(f"removed {domain}@{name}, which was {domain}@{number}", {"alias": name, "version": None}, json)


@app.command(epilog="Example: domain-router models retire medical@2 --why 'trained on wrong labels'")
def retire(
    reference: Reference,
    undo: Annotated[bool, typer.Option("--undo", help="Let it be promoted again.")] = False,
    why: WhyOption = None,
    key_file: KeyFileOption = None,
    registry: RegistryOption = None,
    json: JsonOption = False,
) -> None:
    """Let a version not be promoted any more; a candidate loses its alias."""
    store = opened(registry, key_file)
    version = store.undo_retirement(reference) if undo else store.retire(reference, why)
    _say(
        f"{version.name} can {'be promoted again' if undo else 'no longer be promoted'}",
        {"name": version.name, "retired": not undo},
        json,
    )


@app.command(epilog="Example: domain-router models delete medical@2")
def delete(
    reference: Reference,
    grace_days: Annotated[float, typer.Option(help="Days for which it can be restored.")] = 30.0,
    registry: RegistryOption = None,
    json: JsonOption = False,
) -> None:
    """Delete a version that no alias points to; 'models gc' removes its files after the grace period."""
    from router_plugin.plugins.registries import open_registry

    store = open_registry(registry)
    name = store.get(reference).name
    until = store.delete(name, grace_days)
    _say(
        f"{name} is deleted; 'models restore {name}' brings it back until {until:%Y-%m-%d %H:%M} UTC",
        {"name": name, "expires": until.isoformat()},
        json,
    )


@app.command(epilog="Example: domain-router models restore medical@2")
def restore(reference: Reference, registry: RegistryOption = None, json: JsonOption = False) -> None:
    """Bring a deleted version back."""
    from router_plugin.plugins.registries import open_registry

    version = open_registry(registry).restore(reference)
    _say(f"{version.name} is back", {"name": version.name}, json)


@app.command(epilog="Example: domain-router models gc --dry-run")
def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
    registry: RegistryOption = None,
    json: JsonOption = False,
) -> None:
    """Remove what is deleted and unused: versions past their grace period, and files that no version refers to."""
    from router_plugin.plugins.registries import open_registry

    found = open_registry(registry).collect(dry_run)
    if json:
        print_json(
            {
                "dry_run": dry_run,
                "versions": found.versions,
                "artifacts": found.artifacts,
                "leftovers": found.leftovers,
                "freed": found.freed,
            }
        )
        return
    would = "would " if dry_run else ""
    for name in found.versions:
        say(f"{would}purge {name}")
    for name, size in (*found.artifacts.items(), *found.leftovers.items()):
        say(f"{would}remove {name}, {size} bytes")
    say(f"{len(found.artifacts)} unused artifacts, {found.freed} bytes {'to be freed' if dry_run else 'freed'}")


def _say(text: str, value: dict[str, object], json: bool) -> None:
    if json:
        print_json(value)
    else:
        say(text)
