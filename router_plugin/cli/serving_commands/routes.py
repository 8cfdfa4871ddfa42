"""``domain-router routes``: tunes thresholds on labelled queries, evaluates routing, and improves routes by a log."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from router_plugin.cli.errors import CommandGroup
from router_plugin.cli.model_options import fields_of, with_fields
from router_plugin.cli.named_values import PATH, named_path
from router_plugin.cli.options import (
    JsonOption,
    SettingsOptions,
    check_settings,
    router_parts,
)
from router_plugin.cli.printing import print_figures, print_json, print_table, say, shown, visible
from router_plugin.improving.options import ImproveOptions
from router_plugin.tuning.opening import RouterParts
from training.sources.options import SourceOptions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from router_plugin.improving.improvement import Proposal
    from router_plugin.improving.structure import Half

FIT = "Example: domain-router routes fit labelled.jsonl --routes routes.yaml --out fitted.json"
EVALUATE = "Example: domain-router routes evaluate labelled.jsonl --routes routes.yaml --fitted fitted.json"
IMPROVE = "Example: domain-router routes improve --log log.jsonl --routes routes.yaml --out routes.diff"
COLUMNS = ("text", "label", "accepted", "corrected")
"""Of a log."""
SHOWN = 10
"""Mistakes printed."""
ROWS = 20
"""Rows of a table of proposals that are printed."""

app = typer.Typer(
    cls=CommandGroup,
    help="Tune, evaluate and improve routes: by labelled queries, and by a log.",
    no_args_is_help=True,
)

UnfittedParts = Annotated[RouterParts, router_parts("routes", "extra_domains", "registry")]
FittedParts = Annotated[RouterParts, router_parts("routes", "extra_domains", "fitted", "registry")]
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
    parts: UnfittedParts,
    settings: SettingsOptions,
    json: JsonOption = False,
) -> None:
    """Tune the thresholds of routes and the confidence of decisions, on labelled queries."""
    from router_plugin.cli.output_files import check_fitted
    from router_plugin.evaluation.labelled_queries import ROUTE, read_labelled_queries
    from router_plugin.tuning.tuner import Tuner

    check_settings(context)
    check_fitted(out)
    router = parts.router(settings)
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
    parts: FittedParts,
    html: Annotated[
        Path | None, typer.Option(parser=named_path, metavar=PATH, help="Write a page with plots.", show_default=False)
    ] = None,
    settings: SettingsOptions,
    json: JsonOption = False,
) -> None:
    """Route labelled queries, and compare with their labels."""
    from registry.shared.outputs import write_atomically
    from router_plugin.cli.output_files import check_page
    from router_plugin.evaluation.labelled_queries import ROUTE, read_labelled_queries
    from router_plugin.evaluation.routes_page import evaluation_page
    from router_plugin.tuning.tuner import Tuner

    check_settings(context)
    check_page(html)
    router = parts.router(settings)
    queries, labels = read_labelled_queries(file, ROUTE, [route.name for route in router.routes])
    evaluation = Tuner(router).evaluate(queries, labels)
    if html:
        write_atomically(html, evaluation_page(evaluation, f"Routing on {file.name}"))
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


@app.command(epilog=IMPROVE)
@with_fields
def improve(
    context: typer.Context,
    *,
    log: Annotated[
        Path,
        typer.Option(
            parser=named_path, metavar=PATH, help="Decisions with feedback, as 'prepare --kind logs' reads them."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(parser=named_path, metavar=PATH, help="File for the diff; default: print it.", show_default=False),
    ] = None,
    new_domain: Annotated[
        Path | None,
        typer.Option(
            parser=named_path,
            metavar=PATH,
            help="File for new domains, .yaml or .jsonl, as --extra-domains reads it.",
            show_default=False,
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace earlier files.")] = False,
    columns: Annotated[SourceOptions, fields_of(SourceOptions, *COLUMNS)],
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Skip bad rows instead of stopping at the first.")
    ] = False,
    options: Annotated[ImproveOptions, fields_of(ImproveOptions)],
    parts: UnfittedParts,
    settings: SettingsOptions,
    json: JsonOption = False,
) -> None:
    """Propose utterances, thresholds, splits, merges and new domains from a log with feedback."""
    from registry.shared.outputs import write_atomically
    from router_plugin.cli.output_files import check_new
    from router_plugin.improving.improvement import improve_routes
    from router_plugin.improving.new_domains import write_new_domains
    from router_plugin.routes_diff import routes_diff
    from training.sources.logs import read_judged_texts
    from training.tables.options import ReadOptions

    check_settings(context)
    check_new("out", out, overwrite)
    check_new("new_domain", new_domain, overwrite, (".yaml", ".yml", ".jsonl"))
    texts = read_judged_texts(log, ReadOptions(skip_bad=skip_bad), **columns.model_dump(include=set(COLUMNS)))
    with parts.router(settings) as router:
        found = improve_routes(router, texts, options)
    diff = "".join(routes_diff(path, found.routes) for path in parts.routes)
    if out:
        write_atomically(out, diff)
    if new_domain and found.new_domains:
        write_new_domains(found.new_domains, new_domain)
    if json:
        print_json({**found.to_dict(), "diff": diff})
        return
    _print(found)
    _print_files(found, diff, out, new_domain)


def _print_files(found: Proposal, diff: str, out: Path | None, new_domain: Path | None) -> None:
    """What was written, and what to do with it; the diff itself where it was not written."""
    if out:
        say(f"{out}: apply it with: patch -p1 < {out}" if diff else f"{out}: empty, as no route changes")
    else:
        typer.echo(diff, nl=False)
    if new_domain and not found.new_domains:
        say(f"{new_domain}: not written, as there is no new domain")
    elif new_domain:
        count = len(found.new_domains)
        say(f"{new_domain}: {count} {'domain' if count == 1 else 'domains'} for --extra-domains")


def _print(found: Proposal) -> None:
    """Tables of what is proposed, and figures."""
    for note in found.notes:
        typer.echo(f"note: {visible(note)}", err=True)
    for title, columns, rows in _tables(found):
        if rows:
            some = f": {ROWS} of {len(rows)}, all with --json" if len(rows) > ROWS else ""
            print_table(f"{title}{some}", columns, rows[:ROWS])


def _tables(found: Proposal) -> Iterator[tuple[str, tuple[str, ...], Sequence[tuple[object, ...]]]]:
    """The title, columns and rows of each table."""
    yield (
        "Held-out queries that are right, by cross-validation",
        ("routes", "of all", "right", "in scope", "right", "out of scope", "right", "mended", "broken", "p"),
        [
            (
                *(each.variant, each.queries, each.right, each.in_scope, each.in_scope_right, each.out_of_scope),
                *(each.out_of_scope_right, each.mended, each.broken, f"{each.p_value:.1g}"),
            )
            for each in found.figures
        ],
    )
    utterances = [(each.route, each.text, each.mends, each.breaks) for each in found.utterances]
    yield "New utterances", ("route", "utterance", "mends", "breaks"), utterances
    thresholds = [(each.route, shown(each.today), shown(each.proposed)) for each in found.thresholds]
    yield "New thresholds", ("route", "today", "proposed"), thresholds
    halves = [(each.route, shown(each.silhouette), *map(_half, each.halves)) for each in found.splits]
    yield "Routes to split", ("route", "silhouette", "some queries", "the others"), halves
    mixed = [
        (*each.routes, *each.corrected, *each.queries, f"{max(each.p_values):.1g}", each.told_apart)
        for each in found.merges
    ]
    yield "Routes to merge", ("one", "other", "to other", "to one", "of one", "of other", "p", "told apart"), mixed
    domains = [(each.name, len(each.queries), ", ".join(each.terms), each.queries[0]) for each in found.new_domains]
    yield "Queries that no domain claims", ("domain", "queries", "terms", "most typical"), domains


def _half(half: Half) -> str:
    return f"{half.queries}: {', '.join(half.terms)}"
