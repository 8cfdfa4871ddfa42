"""``domain-router routes``: tunes thresholds on labelled queries, and evaluates routing on them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from router_plugin.cli.errors import CommandGroup
from router_plugin.cli.model_options import with_fields
from router_plugin.cli.named_values import PATH, named_path
from router_plugin.cli.options import (
    ExtraDomainsOption,
    FittedOption,
    JsonOption,
    RegistryOption,
    RoutesOption,
    SettingsOptions,
    check_settings,
)
from router_plugin.cli.printing import print_figures, print_json, print_table, shown

FIT = "Example: domain-router routes fit labelled.jsonl --routes routes.yaml --out fitted.json"
EVALUATE = "Example: domain-router routes evaluate labelled.jsonl --routes routes.yaml --fitted fitted.json"
SHOWN = 10
"""Mistakes printed."""

app = typer.Typer(
    cls=CommandGroup,
    help="Tune thresholds on labelled queries, and evaluate routing.",
    no_args_is_help=True,
)

FileArgument = Annotated[
    Path,
    typer.Argument(
        parser=named_path,
        help="JSONL, JSON, CSV, TSV or Parquet file of labelled queries, with the columns text and route; a query "
        "that should get no route has none.",
    ),
]


@app.command(epilog=FIT)
@with_fields
def fit(
    context: typer.Context,
    file: FileArgument,
    *,
    out: Annotated[Path, typer.Option(help="File to write, for --fitted.", parser=named_path, metavar=PATH)],
    routes: RoutesOption = [Path("routes.yaml")],  # noqa: B006
    extra_domains: ExtraDomainsOption = None,
    settings: SettingsOptions,
    registry: RegistryOption = None,
    json: JsonOption = False,
) -> None:
    """Tune the thresholds of routes, and the confidence of decisions, on labelled queries."""
    from router_plugin.cli.opening import open_router
    from router_plugin.cli.output_files import check_fitted
    from router_plugin.evaluation.labelled_queries import ROUTE, read_labelled_queries
    from router_plugin.tuning.tuner import Tuner

    check_settings(context)
    check_fitted(out)
    router = open_router(routes, registry, extra_domains, settings)
    queries, labels = read_labelled_queries(file, ROUTE, [route.name for route in router.routes])
    tuner = Tuner(router)
    before = tuner.evaluate(queries, labels)
    fitted = tuner.fit(queries, labels)
    fitted.save(out)
    after = tuner.evaluate(queries, labels)
    if json:
        print_json({"accuracy_before": before.accuracy, "accuracy": after.accuracy, **fitted.model_dump()})
        return
    print_table(f"Thresholds in {out}", ("route", "threshold"), list(fitted.thresholds.items()))
    print_table(
        f"Accuracy on the {after.queries} queries used for tuning",
        ("before", "after"),
        [(before.accuracy, after.accuracy)],
    )


@app.command(epilog=EVALUATE)
@with_fields
def evaluate(
    context: typer.Context,
    file: FileArgument,
    *,
    routes: RoutesOption = [Path("routes.yaml")],  # noqa: B006
    fitted: FittedOption = None,
    extra_domains: ExtraDomainsOption = None,
    settings: SettingsOptions,
    registry: RegistryOption = None,
    json: JsonOption = False,
) -> None:
    """Route labelled queries, and compare with their labels."""
    from router_plugin.cli.opening import open_router
    from router_plugin.evaluation.labelled_queries import ROUTE, read_labelled_queries
    from router_plugin.tuning.tuner import Tuner

    check_settings(context)
    router = open_router(routes, registry, extra_domains, settings, fitted)
    queries, labels = read_labelled_queries(file, ROUTE, [route.name for route in router.routes])
    evaluation = Tuner(router).evaluate(queries, labels)
    if json:
        print_json(evaluation.to_dict())
        return
    print_figures(f"Routing on {file.name}", evaluation.to_dict())
    rows = [
        (each.route, each.queries, each.predicted, shown(each.precision), shown(each.recall))
        for each in evaluation.routes
    ]
    print_table("By route", ("route", "queries", "predicted", "precision", "recall"), rows)
    mistakes = [
        (each.query, each.route or "none", each.predicted or "none", each.domain)
        for each in evaluation.mistakes[:SHOWN]
    ]
    print_table("Mistakes with the highest scores", ("query", "route", "predicted", "domain"), mistakes)
