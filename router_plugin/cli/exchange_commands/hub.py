"""``domain-router models push`` and ``pull``: versions on the Hugging Face Hub."""

from __future__ import annotations

from typing import Annotated

import typer

from router_plugin.cli.options import JsonOption, NewRegistryOption, RegistryOption
from router_plugin.cli.printing import print_json, say
from router_plugin.cli.registry_commands.models import Reference

PUSH_EXAMPLE = "Example: domain-router models push medical@3 our-org/medical-encoder --private"
PULL_EXAMPLE = "Example: domain-router models pull our-org/medical-encoder"

Repository = Annotated[str, typer.Argument(help="ORG/NAME on the Hugging Face Hub, or on that of $HF_ENDPOINT.")]


def push(
    reference: Reference,
    repository: Repository,
    private: Annotated[bool, typer.Option("--private", help="Make a new repository for its owners only.")] = False,
    registry: RegistryOption = None,
    json: JsonOption = False,
) -> None:
    """Write a version with its card to the Hub: in place of what was pushed there before."""
    from router_plugin.plugins.registries import open_registry

    store = open_registry(registry)
    version = store.get(reference)
    address = store.exchange.push(version, repository, private)
    if json:
        print_json({"name": version.name, "commit": address})
    else:
        say(f"{version.name} is at {address}")


def pull(
    repository: Repository,
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit.", show_default="the newest")] = None,
    force: Annotated[bool, typer.Option("--force", help="Also if these files are registered already.")] = False,
    max_size: Annotated[float, typer.Option(help="GB that the model may have.", min=0)] = 16.0,
    registry: NewRegistryOption = None,
    json: JsonOption = False,
) -> None:
    """Register a version that was pushed to the Hub: as the next one of its domain."""
    from router_plugin.plugins.registries import open_registry

    version, is_new = open_registry(registry).exchange.pull(repository, revision, int(max_size * 1e9), force)
    if json:
        print_json({"name": version.name, "added": is_new})
    elif is_new:
        say(f"registered as {version.name}")
    else:
        say(f"{version.name} has exactly these files already: nothing added (--force adds them again)")
