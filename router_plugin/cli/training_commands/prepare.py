"""``domain-router prepare``: pairs, labelled texts, routes, logs, triplets and the like to prepared data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from router_plugin.cli.model_options import fields_of, with_fields
from router_plugin.cli.named_values import PATH, named_path
from router_plugin.cli.options import JsonOption, refuse_options
from router_plugin.cli.printing import print_json
from router_plugin.plugins.source_kinds import find_source_kind, source_kinds
from training.prepared.options import PrepareOptions
from training.sources.options import SourceOptions
from training.splitting.options import GroupingOptions
from training.tables.options import ReadOptions

if TYPE_CHECKING:
    from training import PreparedSource, SourceKind

EXAMPLE = "Example: domain-router prepare examples/data/legal.jsonl --out work/legal"


class PrepareCommand(TyperCommand):
    """The command, whose help lists the kinds of sources, those of plugins too."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the options, then the kinds."""
        super().format_options(ctx, formatter)
        with formatter.section("Kinds of sources"):
            formatter.write_dl([(name, kind.holds) for name, kind in source_kinds().items()])


@with_fields
def prepare(
    context: typer.Context,
    source: Annotated[
        str,
        typer.Argument(
            help="JSONL, JSON, CSV, TSV or Parquet file (plain or .gz), or Hub data set id; routes: a routes file; "
            "beir: a folder."
        ),
    ],
    *,
    out: Annotated[Path, typer.Option(help="Folder to write.", parser=named_path, metavar=PATH)],
    kind: Annotated[str, typer.Option(help="Kind of the source, see below.", metavar="KIND")] = "pairs",
    splitting: Annotated[PrepareOptions, fields_of(PrepareOptions)],
    grouping: Annotated[GroupingOptions, fields_of(GroupingOptions)],
    options: Annotated[SourceOptions, fields_of(SourceOptions)],
    reading: Annotated[ReadOptions, fields_of(ReadOptions, "hub_split", "hub_config", "hub_revision", "skip_bad")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier prepared folder.")] = False,
    json: JsonOption = False,
) -> None:
    """Turn pairs, labelled texts and the like into prepared data: documents, queries, splits and a manifest."""
    from training.preparing import prepare_source

    if splitting.split == "test":
        refuse_options(context, ("test_size", "ray"), "with `split` test: every row is a test row")
    chosen = find_source_kind(kind)
    prepared = prepare_source(
        chosen,
        source,
        out,
        reading=reading,
        splitting=splitting,
        overwrite=overwrite,
        ray=grouping.ray,
        **options.given(),
    )
    if json:
        print_json({**prepared.manifest, "skipped_rows": prepared.skipped})
    else:
        _print(out, chosen, prepared)


_WORDS = {
    "out_of_scope": "without a label",
    "at_odds": "with conflicting feedback",
    "rejected": "rejected without another route",
    "without_relevant": "without a relevant document",
    "own_text": "queries that are documents themselves",
}
_TOTALS = {"pairs", "texts", "labels", "rows", "documents", "different_queries", "left_out", "chunks"}


def _print(out: Path, kind: SourceKind, prepared: PreparedSource) -> None:
    for line in prepared.skipped:
        typer.echo(f"skipped: {line}", err=True)
    counts = prepared.manifest["counts"]
    if counts["left_out"]:
        why = "near-duplicates of held-out rows" + ("" if kind.has_chunks else ", or of a label without training texts")
        typer.echo(f"{counts['left_out']} rows are in no split: {why}")
    others = [
        f"{count} {_WORDS.get(name, name.replace('_', ' '))}"
        for name, count in {"skipped": 0, **counts}.items()  # which come first
        if name not in _TOTALS and not name.endswith("queries")
    ]
    documents = "chunks" if kind.has_chunks else "documents"
    typer.echo(
        f"{out}: {_read(counts)} ({', '.join(others)}), {counts['chunks']} {documents}; "
        f"queries: {counts['train_queries']} train, {counts['dev_queries']} dev, {counts['test_queries']} test; "
        f"fingerprint {prepared.manifest['fingerprint'][:12]}"
    )


def _read(counts: Mapping[str, int]) -> str:
    """What was read, by the counts that the kind of source has."""
    if "pairs" in counts:
        return f"{counts['pairs']} pairs"
    if "texts" in counts:
        return f"{counts['texts']} texts of {counts['labels']} labels"
    return f"{counts['rows']} " + (f"queries over {counts['documents']} documents" if "documents" in counts else "rows")
