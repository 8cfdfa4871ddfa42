"""What commands share: their common options, and how they print."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from router_plugin.cli.checks import existing_registry, known_backend, usable_device

_REGISTRY = "Folder or URL of the registry; default: $DOMAIN_ROUTER_REGISTRY, else ~/.domain-router/registry."

RegistryOption = Annotated[
    str | None, typer.Option("--registry", help=_REGISTRY, show_default=False, callback=existing_registry)
]
NewRegistryOption = Annotated[str | None, typer.Option("--registry", help=_REGISTRY, show_default=False)]
DomainsOption = Annotated[
    Path | None,
    typer.Option(
        "--domains",
        help="Domains that have no model yet: YAML of names, descriptions and queries, or a file of labelled queries.",
        show_default=False,
    ),
]
RoutesOption = Annotated[list[Path], typer.Option(help="YAML file of routes; may be given several times.")]
FittedOption = Annotated[Path | None, typer.Option(help="File that 'routes fit' wrote.", show_default=False)]
StrategyOption = Annotated[
    str, typer.Option(help="two_stage, ensemble or single: which domains' encoders see a query.")
]
SingleDomainOption = Annotated[str, typer.Option(help="Whose encoder sees all queries with --strategy single.")]
AggregationOption = Annotated[str, typer.Option(help="max, mean or top-k: what counts of a route's utterances.")]
BackendOption = Annotated[
    str,
    typer.Option(
        help="auto, torch, openvino, openvino-int8, onnx or onnx-int8: what models run on.", callback=known_backend
    ),
]
DeviceOption = Annotated[
    str | None,
    typer.Option(help="cpu, cuda, mps, ...", show_default="a GPU if there is one", callback=usable_device),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]

NARROWEST = 120


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def print_line(value: Any) -> None:
    """One JSON document on one line."""
    typer.echo(json.dumps(value, ensure_ascii=False, default=str))


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table; numbers stand to the right."""
    table = Table(title=title, title_justify="left")
    numeric = [bool(rows) and all(isinstance(row[i], (int, float)) for row in rows) for i in range(len(columns))]
    for column, right in zip(columns, numeric, strict=True):
        table.add_column(column, justify="right" if right else "left")
    for row in rows:
        table.add_row(*(f"{cell:.4f}" if isinstance(cell, float) else str(cell) for cell in row))
    console = Console()
    if not console.is_terminal:
        console = Console(width=max(NARROWEST, console.width))
    console.print(table, markup=False, highlight=False)
