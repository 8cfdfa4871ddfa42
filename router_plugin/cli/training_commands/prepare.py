"""``domain-router prepare``: pairs, labelled texts, routes, logs, triplets or a BEIR folder to prepared data."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from router_plugin.cli.kinds import KINDS, Kind, check_options, prepare_kind
from router_plugin.cli.options import JsonOption, named_path, refuse_options
from router_plugin.cli.printing import print_json

EXAMPLE = "Example: domain-router prepare examples/data/legal.jsonl --out work/legal"


class SplitName(str, Enum):
    """How rows are split."""

    grouped = "grouped"
    random = "random"
    test = "test"


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
    kind: Annotated[
        Kind,
        typer.Option(
            help="pairs: questions and answers; labels: texts, those of one label being alike; routes: utterances of "
            "routes; logs: routed queries with feedback; triplets: questions, answers and wrong answers; beir: "
            "documents, questions and judgements."
        ),
    ] = Kind.pairs,
    split: Annotated[
        SplitName,
        typer.Option(
            help="grouped: near-duplicates stay on one side; random: the reference protocol; test: every pair is one."
        ),
    ] = SplitName.grouped,
    test_size: Annotated[float, typer.Option(min=0.01, max=0.9, help="Share of test pairs.")] = 0.2,
    hold_out: Annotated[
        list[str] | None,
        typer.Option(
            help="COLUMN=VALUE,VALUE: test on these rows, and on no other; repeatable.", show_default="--test-size"
        ),
    ] = None,
    hold_out_dev: Annotated[
        list[str] | None,
        typer.Option(
            help="COLUMN=VALUE,VALUE: choose models by these rows, and by no other; repeatable.",
            show_default="a tenth of the training rows",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 2, help="Seed of the split.")] = 42,
    chunk_characters: Annotated[
        int | None,
        typer.Option(min=1, help="Pairs, triplets, beir: cut longer answers on sentence ends.", show_default="1000"),
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
        str | None, typer.Option(help="Logs: column that says if it was right.", show_default="the usual names")
    ] = None,
    corrected: Annotated[
        str | None, typer.Option(help="Logs: column of the right route.", show_default="the usual names")
    ] = None,
    where: Annotated[
        str | None,
        typer.Option(help="Labels, routes, logs: COLUMN=VALUE,VALUE: take these only.", show_default="all rows"),
    ] = None,
    hub_split: Annotated[str | None, typer.Option(help="Split of a Hub data set.", show_default="train")] = None,
    hub_config: Annotated[str | None, typer.Option(help="Configuration of a Hub data set.")] = None,
    hub_revision: Annotated[str | None, typer.Option(help="Revision of a Hub data set.")] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Count bad rows instead of stopping.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier prepared folder.")] = False,
    json: JsonOption = False,
) -> None:
    """Turn question-answer pairs, labelled texts and the like into documents, queries, splits and a manifest."""
    from training.sources.column_filter import parse_hold_out

    given: dict[str, Any] = {
        "question": question,
        "answer": answer,
        "negative": negative or None,
        "unlabelled": unlabelled,
        "text": text,
        "label": label,
        "accepted": accepted,
        "corrected": corrected,
        "where": where,
        "hub_split": hub_split,
        "hub_config": hub_config,
        "hub_revision": hub_revision,
    }
    check_options(kind, {**given, "chunk_characters": chunk_characters})
    if split is SplitName.test:
        refuse_options(context, ("test_size",), "with `split` test: every row is a test row")
    if _is_here(source):
        refuse_options(context, ("hub_split", "hub_config", "hub_revision"), f"with {source}, a local file")
    splitting: dict[str, Any] = {
        "split": split.value,
        "test_size": test_size,
        "seed": seed,
        "hold_out": tuple(map(parse_hold_out, hold_out or ())),
        "hold_out_dev": tuple(parse_hold_out(each, "--hold-out-dev") for each in hold_out_dev or ()),
        "chunk_characters": chunk_characters,
    }
    reading = {
        **given,
        "where": parse_hold_out(where, "--where") if where else None,
        "columns": [each.column for each in (*splitting["hold_out"], *splitting["hold_out_dev"])],
        "skip_bad": skip_bad,
    }
    manifest, skipped = prepare_kind(kind, source, out, reading, splitting, overwrite)
    if json:
        print_json({**manifest, "skipped_rows": skipped})
        return
    for line in skipped:
        typer.echo(f"skipped: {line}", err=True)
    _print(out, kind, manifest)


def _is_here(source: str) -> bool:
    try:
        return Path(source).expanduser().exists()
    except (OSError, RuntimeError):  # which reading it tells in words
        return False


def _print(out: Path, kind: Kind, manifest: dict[str, Any]) -> None:
    counts = manifest["counts"]
    of_kind = KINDS[kind]
    if counts["left_out"]:
        typer.echo(f"{counts['left_out']} {of_kind.left_out} and in no split")
    typer.echo(
        f"{out}: {of_kind.summary(counts)}, {counts['chunks']} {'chunks' if of_kind.chunks else 'documents'}; "
        f"queries: {counts['train_queries']} train, {counts['dev_queries']} dev, {counts['test_queries']} test; "
        f"fingerprint {manifest['fingerprint'][:12]}"
    )
