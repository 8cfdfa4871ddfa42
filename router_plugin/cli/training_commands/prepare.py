"""``domain-router prepare``: pairs, labelled texts, routes, logs, triplets and the like to prepared data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from router_plugin.cli.options import JsonOption, named_path, refuse_options
from router_plugin.cli.printing import print_json
from router_plugin.plugins.source_kinds import find_source_kind, source_kinds

if TYPE_CHECKING:
    from training import ColumnFilter, PreparedSource, SourceKind

EXAMPLE = "Example: domain-router prepare examples/data/legal.jsonl --out work/legal"


class SplitName(str, Enum):
    """How rows are split."""

    grouped = "grouped"
    random = "random"
    test = "test"


def kind_option() -> Any:
    """The option ``--kind``, which lists the kinds of plugins too.

    Called by the annotation of :func:`prepare`, which Typer evaluates when the command line runs: plugins are not
    loaded before that.
    """
    kinds = source_kinds()
    return typer.Option(
        parser=find_source_kind,
        metavar=f"[{'|'.join(kinds)}]",
        help="; ".join(f"{name}: {kind.holds}" for name, kind in kinds.items()) + ".",
    )


def prepare(
    context: typer.Context,
    source: Annotated[
        str,
        typer.Argument(
            help="JSONL, JSON, CSV, TSV or Parquet file (plain or .gz), or Hub data set id; routes: a routes file; "
            "beir: a folder."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder to write.", parser=named_path, metavar="<path>")],
    kind: Annotated[Any, kind_option()] = "pairs",
    split: Annotated[
        SplitName,
        typer.Option(
            help="grouped: near-duplicates share a split; random: the reference protocol; test: all rows are test rows."
        ),
    ] = SplitName.grouped,
    test_size: Annotated[float, typer.Option(min=0.01, max=0.9, help="Fraction of rows in the test split.")] = 0.2,
    hold_out: Annotated[
        list[str] | None,
        typer.Option(help="COLUMN=VALUE,VALUE: test on these rows only; repeatable.", show_default="--test-size"),
    ] = None,
    hold_out_dev: Annotated[
        list[str] | None,
        typer.Option(
            help="COLUMN=VALUE,VALUE: choose models on these rows only; repeatable.",
            show_default="a tenth of the training rows",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 2, help="Seed of the split.")] = 42,
    chunk_characters: Annotated[
        int | None,
        typer.Option(min=1, help="Pairs, triplets, beir: split longer answers at sentence ends.", show_default="1000"),
    ] = None,
    question: Annotated[
        str | None, typer.Option(help="Pairs, triplets: column of the question.", show_default="the usual names")
    ] = None,
    answer: Annotated[
        str | None, typer.Option(help="Pairs, triplets: column of the answer.", show_default="the usual names")
    ] = None,
    negative: Annotated[
        list[str] | None,
        typer.Option(help="Triplets: column of a wrong answer; repeatable.", show_default="the usual names"),
    ] = None,
    unlabelled: Annotated[
        str | None,
        typer.Option(metavar="SOURCE", help="Pairs: questions without answers, for train --judge.", show_default=False),
    ] = None,
    text: Annotated[
        str | None, typer.Option(help="Labels, logs: column of the text.", show_default="the usual names")
    ] = None,
    label: Annotated[
        str | None, typer.Option(help="Labels, logs: column of the label or route.", show_default="the usual names")
    ] = None,
    accepted: Annotated[
        str | None,
        typer.Option(help="Logs: column for whether it was right.", show_default="the usual names"),
    ] = None,
    corrected: Annotated[
        str | None, typer.Option(help="Logs: column of the right route.", show_default="the usual names")
    ] = None,
    where: Annotated[
        str | None,
        typer.Option(help="Labels, routes, logs: COLUMN=VALUE,VALUE: read these rows only.", show_default="all rows"),
    ] = None,
    hub_split: Annotated[str | None, typer.Option(help="Split of a Hub data set.", show_default="train")] = None,
    hub_config: Annotated[str | None, typer.Option(help="Configuration of a Hub data set.")] = None,
    hub_revision: Annotated[str | None, typer.Option(help="Revision of a Hub data set.")] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Count bad rows instead of stopping.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier prepared folder.")] = False,
    json: JsonOption = False,
) -> None:
    """Turn question-answer pairs, labelled texts and the like into documents, queries, splits and a manifest."""
    from training.preparing import prepare_source
    from training.splitting.split_options import SplitOptions
    from training.tables.reading import HubPart, ReadOptions

    if split is SplitName.test:
        refuse_options(context, ("test_size",), "with `split` test: every row is a test row")
    prepared = prepare_source(
        kind,
        source,
        out,
        reading=ReadOptions(hub=HubPart(hub_split, hub_config, hub_revision), skip_bad=skip_bad),
        splitting=SplitOptions(
            split=split.value,
            test_size=test_size,
            seed=seed,
            hold_out=_filters("hold_out", hold_out or ()),
            hold_out_dev=_filters("hold_out_dev", hold_out_dev or ()),
        ),
        chunk_characters=chunk_characters,
        overwrite=overwrite,
        question=question,
        answer=answer,
        negative=negative or None,
        unlabelled=unlabelled,
        text=text,
        label=label,
        accepted=accepted,
        corrected=corrected,
        where=_filters("where", (where,))[0] if where else None,
    )
    if json:
        print_json({**prepared.manifest, "skipped_rows": prepared.skipped})
    else:
        _print(out, kind, prepared)


def _filters(parameter: str, given: Sequence[str]) -> tuple[ColumnFilter, ...]:
    from training.tables.column_filter import parse_column_filter

    return tuple(parse_column_filter(text, parameter) for text in given)


_WORDS = {
    "out_of_scope": "without a label",
    "at_odds": "with conflicting feedback",
    "rejected": "rejected without another route",
    "without_relevant": "without a relevant document",
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
