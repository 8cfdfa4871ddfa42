"""``domain-router compare``: the known strategies for serving many domains, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from router_plugin.cli.model_options import fields_of, with_fields
from router_plugin.cli.named_values import PATH, named_path
from router_plugin.cli.options import (
    GeneralBaseOption,
    JsonOption,
    RegistryOption,
    RoutesOption,
    existing_registry,
    refuse_options,
)
from router_plugin.cli.printing import print_json, print_table
from router_plugin.settings import Settings

if TYPE_CHECKING:
    from router_plugin.comparison.strategies import Comparison
    from router_plugin.comparison.tasks import Task

EXAMPLE = "Example: domain-router compare --data medical=work/medical --data finance=work/finance --html compare.html"


@with_fields
def compare(
    context: typer.Context,
    *,
    queries: Annotated[
        Path | None,
        typer.Option(
            parser=named_path,
            metavar=PATH,
            help="Labelled queries with the columns text and route, and domain if it is not the route's.",
            show_default=False,
        ),
    ] = None,
    routes: RoutesOption = [Path("routes.yaml")],  # noqa: B006
    fit: Annotated[
        Path | None,
        typer.Option(
            parser=named_path, metavar=PATH, help="Other labelled queries, to tune thresholds on.", show_default=False
        ),
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=DIR", help="Prepared data of a domain, to compare retrieval; repeatable."),
    ] = None,
    split: Annotated[str, typer.Option(help="Split of the prepared data: train, dev or test.")] = "test",
    multi: Annotated[
        str | None,
        typer.Option(help="Name under which the model of all domains is registered.", show_default="left out"),
    ] = None,
    multi_registry: Annotated[
        str | None,
        typer.Option(
            help="Its registry, if that is a different one.",
            show_default="--registry",
            callback=lambda url: url and existing_registry(url),
        ),
    ] = None,
    configurations: Annotated[
        list[str] | None,
        typer.Option(
            "--configuration",
            help="unadapted, multi, two_stage, ensemble, adaptive or oracle; repeatable.",
            show_default="all",
        ),
    ] = None,
    base_model: GeneralBaseOption = None,
    settings: Annotated[Settings, fields_of(Settings, "backend")],
    html: Annotated[
        Path | None, typer.Option(parser=named_path, metavar=PATH, help="Write a page with a plot.", show_default=False)
    ] = None,
    registry: RegistryOption = None,
    json: JsonOption = False,
) -> None:
    """Compare strategies for many domains: one encoder, two-stage routing, an ensemble, on queries or data."""
    from registry.shared.outputs import write_atomically
    from router_plugin.cli.output_files import check_page
    from router_plugin.comparison.page import comparison_page
    from router_plugin.comparison.strategies import CONFIGURATIONS, check_configurations
    from router_plugin.comparison.strategies import compare as compare_configurations

    if (queries is None) == (not data):
        raise typer.BadParameter("give either `queries` or `data`")
    refuse_options(context, ("split",) if queries else ("routes", "fit"), f"with `{'queries' if queries else 'data'}`")
    check_configurations(configurations or CONFIGURATIONS, multi, multi_registry)
    check_page(html)
    found = compare_configurations(
        _task(queries, routes, fit, data or [], split),
        registry,
        multi=multi,
        multi_registry=multi_registry,
        base_model=base_model,
        settings=settings,
        configurations=configurations or CONFIGURATIONS,
    )
    title = f"Serving strategies on {queries.name if queries else ', '.join(data or [])}"
    if html:
        write_atomically(html, comparison_page(found, title))
    print_json(found.to_dict()) if json else _print(title, found)


def _task(queries: Path | None, routes: list[Path], fit: Path | None, data: list[str], split: str) -> Task:
    from router_plugin.cli.named_values import prepared_sets
    from router_plugin.comparison.tasks import retrieval_task, routing_task
    from router_plugin.routes import load_routes

    if queries is None:
        return retrieval_task(prepared_sets("data", data), split)
    return routing_task([route for path in routes for route in load_routes(path)], queries, fit)


def _print(title: str, found: Comparison) -> None:
    from router_plugin.comparison.page import COLUMNS, by_domain, rows

    names = [each.configuration for each in found.configurations]
    figures = list(zip(COLUMNS[1:], *(row[1:] for row in rows(found)), strict=True))
    print_table(title, ("figure", *names), figures)
    print_table("Accuracy and MRR@5 by domain", *by_domain(found))
