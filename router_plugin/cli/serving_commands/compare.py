"""``domain-router compare``: the known ways to serve many domains, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from registry import DomainRouterError
from router_plugin.cli.model_options import fields_of, with_fields
from router_plugin.cli.options import (
    JsonOption,
    RegistryOption,
    RoutesOption,
    existing_registry,
    refuse_options,
)
from router_plugin.cli.printing import print_json, print_table
from router_plugin.settings import Settings

if TYPE_CHECKING:
    from router_plugin.comparison.strategies import Question
    from router_plugin.routes import Route

EXAMPLE = "Example: domain-router compare --data medical=work/medical --data finance=work/finance --html compare.html"


@with_fields
def compare(
    context: typer.Context,
    *,
    queries: Annotated[
        Path | None,
        typer.Option(
            help="Labelled queries with the columns text and route, and domain where it is not the route's.",
            show_default=False,
        ),
    ] = None,
    routes: RoutesOption = [Path("routes.yaml")],  # noqa: B006
    fit: Annotated[
        Path | None, typer.Option(help="Other labelled queries, to set thresholds with.", show_default=False)
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(metavar="DOMAIN=DIR", help="Prepared data of a domain, to compare retrieval; repeatable."),
    ] = None,
    split: Annotated[str, typer.Option(help="Split of the prepared data: train, dev or test.")] = "test",
    multi: Annotated[
        str | None,
        typer.Option(help="Name that the model of all domains is registered with.", show_default="none: left out"),
    ] = None,
    multi_registry: Annotated[
        str | None,
        typer.Option(
            help="Its registry, where that is another one.", show_default="--registry", callback=existing_registry
        ),
    ] = None,
    way: Annotated[
        list[str] | None,
        typer.Option(help="base, multi, two_stage, ensemble or oracle; repeatable.", show_default="all"),
    ] = None,
    base_model: Annotated[
        str | None, typer.Option(help="Encoder of the general domain.", show_default="the champions' base model")
    ] = None,
    settings: Annotated[Settings, fields_of(Settings, "backend")],
    html: Annotated[Path | None, typer.Option(help="Write a page with a plot.", show_default=False)] = None,
    registry: RegistryOption = None,
    json: JsonOption = False,
) -> None:
    """Compare one encoder, two-stage routing and an ensemble, on labelled queries or on prepared data of domains."""
    from registry.shared.outputs import write_atomically
    from router_plugin.cli.output_files import check_page
    from router_plugin.comparison.page import COLUMNS, by_domain, comparison_page, rows
    from router_plugin.comparison.strategies import WAYS, Task
    from router_plugin.comparison.strategies import compare as compare_ways

    if (queries is None) == (not data):
        raise typer.BadParameter("give either --queries FILE or --data DOMAIN=DIR")
    refuse_options(context, ("split",) if queries else ("routes", "fit"), f"with `{'queries' if queries else 'data'}`")
    if way and "multi" not in way:
        refuse_options(context, ("multi", "multi_registry"), "without `way` multi")
    check_page(html)
    if queries:
        from router_plugin.routes import load_routes

        known = tuple(route for path in routes for route in load_routes(path))
        task = Task(known, _labelled(queries, known), _labelled(fit, known) if fit else ())
    else:
        task = Task(*_prepared(data or [], split))
    found = compare_ways(
        task,
        registry,
        multi_registry=multi_registry,
        multi_domain=multi,
        base_model=base_model,
        settings=settings,
        ways=way or WAYS,
    )
    title = f"Ways to serve {queries.name if queries else ', '.join(data or [])}"
    if html:
        write_atomically(html, comparison_page(found, title))
    if json:
        print_json(found.to_dict())
        return
    print_table(
        title,
        ("figure", *(way.way for way in found.ways)),
        list(zip(COLUMNS[1:], *(row[1:] for row in rows(found)), strict=True)),
    )
    columns, domains = by_domain(found)
    print_table("Accuracy and MRR@5 by domain", columns, domains)


def _labelled(file: Path, routes: Sequence[Route]) -> tuple[Question, ...]:
    from registry import GENERAL
    from router_plugin.comparison.strategies import Question
    from router_plugin.evaluation.labelled_queries import DOMAIN, ROUTE, read_labelled_queries

    by_name = {route.name: next(iter(route.domains), GENERAL) for route in routes}
    texts, labels = read_labelled_queries(file, ROUTE, list(by_name))
    _, domains = read_labelled_queries(file, DOMAIN, required=False)
    return tuple(
        Question(text, domain or (by_name[label] if label else GENERAL), (label,) if label else ())
        for text, label, domain in zip(texts, labels, domains, strict=True)
    )


def _prepared(named: Sequence[str], split: str) -> tuple[tuple[Route, ...], tuple[Question, ...]]:
    """Every document as a route of its domain, and the questions of a split."""
    from pydantic import ValidationError

    from router_plugin.comparison.strategies import Question
    from router_plugin.routes import Route
    from training.prepared.format import read_prepared

    routes, questions = [], []
    for each in named:
        domain, separator, folder = each.partition("=")
        if not separator:
            raise typer.BadParameter(f"--data {each}: expected DOMAIN=DIR")
        prepared = read_prepared(Path(folder))
        if split not in prepared.qrels:
            raise typer.BadParameter(f"--split {split}: expected one of {', '.join(prepared.qrels)}")
        name = {document: f"{domain}/{document}" for document in prepared.corpus}
        try:
            routes += [
                Route(name=name[key], domain=domain, utterances=(text,)) for key, text in prepared.corpus.items()
            ]
        except ValidationError as error:
            raise DomainRouterError(f"--data {each}: {error.errors()[0]['msg']}") from error
        questions += [
            Question(prepared.queries[query], domain, tuple(name[document] for document in documents))
            for query, documents in prepared.qrels[split].items()
        ]
    if not questions:
        raise DomainRouterError(f"the prepared data have no {split} queries")
    return tuple(routes), tuple(questions)
