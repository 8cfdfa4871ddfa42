"""``domain-router quickstart``: two domains, one ready-made and one trained here, registered and routed with."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from registry import DomainRouterError
from router_plugin.cli.named_values import PATH, named_path
from router_plugin.cli.options import JsonOption
from router_plugin.cli.printing import print_json

if TYPE_CHECKING:
    from registry import Registry
    from training.reporting.report import TrainingReport

EXAMPLE = "Example: domain-router quickstart --folder quickstart"

READY_MADE, TRAINED = "medical", "finance"
STEPS = 15
"""Fewer than by default: enough to see a gain, and to see it soon."""


def quickstart(
    folder: Annotated[
        Path, typer.Option(parser=named_path, metavar=PATH, help="Working folder: prepared data, models and registry.")
    ] = Path("quickstart"),
    examples: Annotated[
        Path, typer.Option(parser=named_path, metavar=PATH, help="The examples folder of the repository.")
    ] = Path("examples"),
    json: JsonOption = False,
) -> None:
    """Register and route with two domains, one of them trained here. A killed run continues when started again."""
    from router_plugin.cli.serving_commands.route import print_decisions, read_queries
    from router_plugin.cli.training_commands.train import print_gain
    from router_plugin.plugins.registries import open_registry
    from router_plugin.router import DomainRouter

    started = time.monotonic()
    routes, queries = examples / "routes.yaml", examples / "queries.txt"
    _check_files(examples, routes, queries)
    texts = list(read_queries(queries))
    store = open_registry(str(folder / "registry"))
    reports = {}
    for domain in (READY_MADE, TRAINED):
        reports[domain] = _registered(domain, examples, folder, store, quiet=json)
        if not json:
            print_gain(reports[domain], domain)
    if not json:
        typer.echo("Assembling the domain classifier from the registered domains ...")
    router = DomainRouter(routes, store)
    router.route_many(texts)  # the first query of a domain loads its model
    decisions = [router.route(text) for text in texts]
    seconds = round(time.monotonic() - started, 1)
    if json:
        gains = {
            domain: {"base": report.base_metrics["test"], "adapted": report.adapted_metrics["test"]}
            for domain, report in reports.items()
        }
        print_json({"metrics": gains, "decisions": [each.to_dict() for each in decisions], "seconds": seconds})
        return
    print_decisions(decisions)
    typer.echo(f"{seconds} s. Ask it yourself:")
    typer.echo(f'  domain-router route "why do my ankles swell" --routes {routes} --registry {folder / "registry"}')


def _pairs(domain: str, examples: Path) -> Path:
    return examples / "data" / f"{domain}.jsonl"


def _check_files(examples: Path, *files: Path) -> None:
    for needed in (*files, _pairs(TRAINED, examples)):
        if not needed.is_file():
            raise DomainRouterError(f"{needed}: not found: run this in a clone of the repository, or give `examples`")


def _registered(domain: str, examples: Path, folder: Path, store: Registry, quiet: bool) -> TrainingReport:
    """The training report of a domain, after it was registered: ready-made, or trained here."""
    from training.pipeline import train_domain
    from training.ready_made import add_ready_made, find_model
    from training.recipes.recipes import Contrastive
    from training.reporting.report import TrainingReport

    if domain == READY_MADE:
        if not quiet:
            typer.echo(f"Adding the ready-made domain {domain}, which was trained and measured before ...")
        add_ready_made(domain, store)
        return TrainingReport.load(find_model(domain))
    if not quiet:
        typer.echo(f"Preparing, training and registering {domain} ...")
    recipe = Contrastive(iterations=1, min_steps=STEPS)
    return train_domain(str(_pairs(domain, examples)), domain, folder, store, recipe=recipe)
