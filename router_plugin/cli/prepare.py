"""``domain-router prepare``: question-answer pairs to a BEIR folder."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from router_plugin.cli.output import JsonOption, print_json

EXAMPLE = "Example: domain-router prepare examples/data/legal.jsonl --out work/legal"


class SplitName(str, Enum):
    """How pairs are split."""

    grouped = "grouped"
    random = "random"
    test = "test"


def prepare(
    source: Annotated[
        str, typer.Argument(help="JSONL, JSON, CSV, TSV or Parquet file (plain or .gz), or Hub data set id.")
    ],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
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
    chunk_characters: Annotated[int, typer.Option(min=1, help="Cut longer answers on sentence ends.")] = 1000,
    question: Annotated[
        str | None, typer.Option(help="Column of the question.", show_default="the usual names")
    ] = None,
    answer: Annotated[str | None, typer.Option(help="Column of the answer.", show_default="the usual names")] = None,
    hub_split: Annotated[str, typer.Option(help="Split of a Hub data set.")] = "train",
    hub_config: Annotated[str | None, typer.Option(help="Configuration of a Hub data set.")] = None,
    hub_revision: Annotated[str | None, typer.Option(help="Revision of a Hub data set.")] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Count bad rows instead of stopping.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier prepared folder.")] = False,
    json: JsonOption = False,
) -> None:
    """Turn question-answer pairs into a BEIR folder: chunks, splits, manifest."""
    from training.holding_out import parse_hold_out
    from training.pairs import read_pairs
    from training.preparation import PrepareOptions, check_target
    from training.preparation import prepare as write

    check_target(out, overwrite)
    held = tuple(map(parse_hold_out, hold_out or ()))
    held_dev = tuple(parse_hold_out(text, "--hold-out-dev") for text in hold_out_dev or ())
    options = PrepareOptions(split.value, test_size, seed, chunk_characters, held, held_dev)
    pairs = read_pairs(
        source,
        question=question,
        answer=answer,
        columns=[each.column for each in (*held, *held_dev)],
        hub_split=hub_split,
        hub_config=hub_config,
        hub_revision=hub_revision,
        skip_bad=skip_bad,
    )
    manifest = write(pairs, out, options, overwrite)
    if json:
        print_json({**manifest, "skipped_rows": pairs.skipped})
        return
    for line in pairs.skipped:
        typer.echo(f"skipped: {line}", err=True)
    counts = manifest["counts"]
    if counts["left_out"]:
        typer.echo(f"{counts['left_out']} pairs are near-duplicates of held-out ones and in no split")
    typer.echo(
        f"{out}: {counts['pairs']} pairs ({counts['skipped']} skipped), {counts['chunks']} chunks; "
        f"queries: {counts['train_queries']} train, {counts['dev_queries']} dev, {counts['test_queries']} test; "
        f"fingerprint {manifest['fingerprint'][:12]}"
    )
