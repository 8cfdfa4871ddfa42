"""``domain-router quickstart``: two domains, registered and routed with; what is not ready-made is trained first."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from registry import DomainRouterError
from router_plugin.cli.options import JsonOption
from router_plugin.cli.printing import print_json

if TYPE_CHECKING:
    from training.reporting.report import TrainingReport

EXAMPLE = "Example: domain-router quickstart --folder quickstart"

DOMAINS = ("medical", "finance")
STEPS = 15
"""Fewer than by default: enough to see a gain, and to see it soon."""


def quickstart(
    folder: Annotated[Path, typer.Option(help="Working folder: prepared data, models and registry.")] = Path(
        "quickstart"
    ),
    examples: Annotated[Path, typer.Option(help="The examples folder of the repository.")] = Path("examples"),
    json: JsonOption = False,
) -> None:
    """Register and route with two domains, one of them trained here. Killed, it goes on when started again."""
    from router_plugin.cli.ready_made import ready_made
    from router_plugin.cli.serving_commands.route import print_decisions, read_queries
    from router_plugin.cli.training_commands.train import print_gain
    from router_plugin.plugins.registry_events import open_registry
    from router_plugin.router import DomainRouter

    started = time.monotonic()
    routes, queries = examples / "routes.yaml", examples / "queries.txt"
    ready = {domain: found for domain, found in ready_made().items() if domain in DOMAINS}
    pairs = {domain: examples / "data" / f"{domain}.jsonl" for domain in DOMAINS if domain not in ready}
    for needed in (routes, queries, *pairs.values()):
        if not needed.is_file():
            raise DomainRouterError(f"{needed}: not found: run this in a clone of the repository, or give --examples")
    texts = list(read_queries(queries))
    store = open_registry(str(folder / "registry"))
    reports = {}
    for domain in DOMAINS:
        if domain in ready:
            reports[domain] = _added(domain, ready[domain], store, quiet=json)
        else:
            reports[domain] = _adapted(domain, pairs[domain], folder, store, quiet=json)
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
        print_json(
            {
                "metrics": gains,
                "decisions": [decision.to_dict() for decision in decisions],
                "seconds": seconds,
            }
        )
        return
    print_decisions(decisions)
    typer.echo(f"{seconds} s. Ask it yourself:")
    typer.echo(f'  domain-router route "why do my ankles swell" --routes {routes} --registry {folder / "registry"}')


def _added(domain: str, model: Path, store: Any, quiet: bool) -> TrainingReport:
    """Register a ready-made domain, unless an earlier run has done it; returns its training report."""
    from training.publishing import publish
    from training.reporting.report import TrainingReport

    if not quiet:
        typer.echo(f"Adding the ready-made domain {domain}, which was trained and measured before it was packed ...")
    if not store.holding(model):
        store.promote(publish(model, store, force=True).name)
    return TrainingReport.load(model)


def _adapted(domain: str, pairs: Path, folder: Path, store: Any, quiet: bool) -> TrainingReport:
    """Prepare, train and register one domain, unless an earlier run has done it; returns the training report."""
    from registry import NotRegisteredError, resolve_base_model
    from training.adaptation import adapt
    from training.job import TrainingJob
    from training.prepared.format import read_prepared
    from training.prepared.preparation import prepare
    from training.publishing import publish
    from training.recipes.recipes import Contrastive
    from training.reporting.report import TrainingReport
    from training.sources.pairs import read_pairs

    prepared, model = folder / domain, folder / f"{domain}-model"
    if not quiet:
        typer.echo(f"Preparing, training and registering {domain} ...")
    if not prepared.exists():
        prepare(read_pairs(str(pairs)), prepared)
    if not model.exists():
        adapt(
            TrainingJob(
                read_prepared(prepared), domain, resolve_base_model(), Contrastive(iterations=1, min_steps=STEPS)
            ),
            model,
        )
    try:
        store.get(domain)
    except NotRegisteredError:
        publish(model, store, force=True)
    return TrainingReport.load(model)
