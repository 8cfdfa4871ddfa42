"""``domain-router models import-model``: registers a model that others trained, after measuring it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from registry.names import DEFAULT_BASE_MODEL
from router_plugin.cli.named_values import PATH, named_path
from router_plugin.cli.options import HybridOption, JsonOption, NewRegistryOption, usable_device
from router_plugin.cli.printing import print_json, print_table, say

EXAMPLE = "Example: domain-router models import-model our-org/encoder --domain legal --data work/legal"


def import_model(
    model: Annotated[str, typer.Argument(help="Folder of a SentenceTransformer, or its Hub id.")],
    domain: Annotated[str, typer.Option(help="Name of the domain.")],
    data: Annotated[
        Path, typer.Option(help="Folder that 'prepare' wrote, to measure on.", parser=named_path, metavar=PATH)
    ],
    revision: Annotated[str | None, typer.Option(help="Of a model on the Hub.", show_default="the newest")] = None,
    base_model: Annotated[str, typer.Option(help="What it is compared with.")] = DEFAULT_BASE_MODEL,
    device: Annotated[
        str | None, typer.Option(help="Device of torch.", show_default="the best one", callback=usable_device)
    ] = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Also if it does not beat the base model on dev, or --hybrid does not win there."),
    ] = False,
    hybrid: HybridOption = False,
    registry: NewRegistryOption = None,
    json: JsonOption = False,
) -> None:
    """Measure and register any SentenceTransformer: on prepared data, beside the base model."""
    from registry import resolve_base_model
    from router_plugin.plugins.registries import open_registry
    from training import import_model as measure_and_register
    from training import read_prepared
    from training.reporting.verdicts import EVALUATION_COLUMNS, evaluation_rows, hybrid_line

    prepared = read_prepared(data)
    version = measure_and_register(
        resolve_base_model(model, revision),
        domain,
        prepared,
        resolve_base_model(base_model),
        open_registry(registry),
        device=device,
        force=force,
        hybrid=hybrid,
    )
    if json:
        print_json({"name": version.name, "base": version.base_metrics, "imported": version.adapted_metrics})
        return
    print_table(version.name, EVALUATION_COLUMNS, evaluation_rows(version))
    say(hybrid_line(version))
    say(f"registered as {version.name}")
