"""``domain-router classifier``: evaluates the domain classifier of a registry."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from registry import GENERAL, DomainRouterError
from router_plugin.cli.errors import CommandGroup
from router_plugin.cli.named_values import PATH, named_path
from router_plugin.cli.options import ExtraDomainsOption, JsonOption, RegistryOption
from router_plugin.cli.printing import print_figures, print_json, print_table

EXAMPLE = "Example: domain-router classifier evaluate queries.jsonl --html classifier.html"

app = typer.Typer(cls=CommandGroup, help="Evaluate the domain classifier.", no_args_is_help=True)


@app.command(epilog=EXAMPLE)
def evaluate(
    file: Annotated[
        Path,
        typer.Argument(
            parser=named_path,
            help="JSONL, JSON, CSV, TSV or Parquet file of labelled queries, with the columns text and domain; a query "
            "of no domain has none, or general.",
        ),
    ],
    html: Annotated[
        Path | None, typer.Option(parser=named_path, metavar=PATH, help="Write a page with plots.", show_default=False)
    ] = None,
    extra_domains: ExtraDomainsOption = None,
    base_model: Annotated[
        str | None, typer.Option(help="The base model.", show_default="the champions' base model")
    ] = None,
    registry: RegistryOption = None,
    json: JsonOption = False,
) -> None:
    """Classify labelled queries with the classifier of the registry's champions, and compare with their labels."""
    from registry.shared.outputs import write_atomically
    from router_plugin.cli.output_files import check_page
    from router_plugin.evaluation.classifier import evaluate as evaluate_classifier
    from router_plugin.evaluation.classifier_page import evaluation_page
    from router_plugin.evaluation.labelled_queries import DOMAIN, read_labelled_queries
    from router_plugin.router import DomainRouter

    check_page(html)
    classifier = DomainRouter([], registry, base_model=base_model, extra_domains=extra_domains or ()).classifier
    if list(classifier.domains) == [GENERAL]:
        raise DomainRouterError(
            "nothing is registered, so there is nothing to classify: register a model with 'models add', or name "
            "domains with `extra_domains`"
        )
    queries, labels = read_labelled_queries(file, DOMAIN, classifier.domains)
    evaluation = evaluate_classifier(classifier, queries, labels)
    if html:
        write_atomically(html, evaluation_page(evaluation, f"Domain classifier on {file.name}"))
    if json:
        print_json(evaluation.to_dict())
        return
    print_figures(f"Domain classifier on {file.name}", evaluation.to_dict())
    rows = [(name, *counts) for name, counts in zip(evaluation.domains, evaluation.confusion, strict=True)]
    print_table("Queries by their domain and the predicted one", ("domain", *evaluation.domains), rows)
    worst = [
        (mistake.query, mistake.domain, mistake.predicted, mistake.probability) for mistake in evaluation.mistakes[:5]
    ]
    print_table("The most confident mistakes", ("query", "domain", "predicted", "probability"), worst)
