"""``domain-router models export``, ``import`` and ``bom``: a version as a single file, and what it is made of."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from router_plugin.cli.named_values import PATH, named_path
from router_plugin.cli.options import JsonOption, NewRegistryOption, RegistryOption
from router_plugin.cli.printing import print_json, say
from router_plugin.cli.registry_commands.models import Reference

EXPORT_EXAMPLE = "Example: domain-router models export medical@3 medical-3.tar"
BOM_EXAMPLE = "Example: domain-router models bom medical@3 > medical-3.cdx.json"
IMPORT_EXAMPLE = "Example: domain-router models import medical-3.tar"


def export_model(
    reference: Reference,
    file: Annotated[Path, typer.Argument(help="File to be written, a tar.", parser=named_path, metavar=PATH)],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier file.")] = False,
    registry: RegistryOption = None,
    json: JsonOption = False,
) -> None:
    """Write a version to a single file: with its record and signature."""
    from router_plugin.plugins.registries import open_registry

    store = open_registry(registry)
    version = store.get(reference)
    store.exchange.export_file(version, file, overwrite)
    if json:
        print_json({"name": version.name, "file": str(file), "size": file.stat().st_size})
    else:
        say(f"{version.name} is in {file}, {file.stat().st_size / 1e6:.1f} MB")


def import_model_file(
    file: Annotated[Path, typer.Argument(help="File that 'models export' wrote.", parser=named_path, metavar=PATH)],
    force: Annotated[bool, typer.Option("--force", help="Also if these files are registered already.")] = False,
    max_size: Annotated[float, typer.Option(help="GB that the model may have.", min=0)] = 16.0,
    registry: NewRegistryOption = None,
    json: JsonOption = False,
) -> None:
    """Register the version in a file: as the next one of its domain."""
    from router_plugin.plugins.registries import open_registry

    version, is_new = open_registry(registry).exchange.import_file(file, int(max_size * 1e9), force)
    if json:
        origin = version.origin.model_dump(mode="json") if version.origin else None
        print_json({"name": version.name, "added": is_new, "origin": origin})
    elif is_new:
        say(
            f"registered as {version.name}" + (f", {version.origin.name} where it comes from" if version.origin else "")
        )
    else:
        say(f"{version.name} has exactly these files already: nothing added (--force adds them again)")


def bom(
    reference: Reference,
    licence: Annotated[
        str | None, typer.Option("--license", help="Licence of the model, an SPDX expression.", show_default=False)
    ] = None,
    registry: RegistryOption = None,
) -> None:
    """Print a version's bill of materials: CycloneDX 1.6 as JSON, with model card, files and base model."""
    from registry.exchange.bom import bill_of_materials
    from router_plugin.plugins.registries import open_registry

    print_json(bill_of_materials(open_registry(registry).get(reference), licence))
