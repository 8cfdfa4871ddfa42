"""``domain-router prepare``: question-answer pairs or labelled texts to a BEIR folder."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from router_plugin.cli.output import JsonOption, print_json

if TYPE_CHECKING:
    from training.labels import Labels
    from training.pairs import Pairs

EXAMPLE = "Example: domain-router prepare examples/data/legal.jsonl --out work/legal"


class Kind(str, Enum):
    """What a source holds."""

    pairs = "pairs"
    labels = "labels"


class SplitName(str, Enum):
    """How rows are split."""

    grouped = "grouped"
    random = "random"
    test = "test"


def prepare(
    source: Annotated[
        str, typer.Argument(help="JSONL, JSON, CSV, TSV or Parquet file (plain or .gz), or Hub data set id.")
    ],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    kind: Annotated[
        Kind, typer.Option(help="pairs: questions and answers; labels: texts, those of one label being alike.")
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
        int | None, typer.Option(min=1, help="Pairs: cut longer answers on sentence ends.", show_default="1000")
    ] = None,
    question: Annotated[
        str | None, typer.Option(help="Pairs: column of the question.", show_default="the usual names")
    ] = None,
    answer: Annotated[
        str | None, typer.Option(help="Pairs: column of the answer.", show_default="the usual names")
    ] = None,
    text: Annotated[
        str | None, typer.Option(help="Labels: column of the text.", show_default="the usual names")
    ] = None,
    label: Annotated[
        str | None, typer.Option(help="Labels: column of the label.", show_default="the usual names")
    ] = None,
    where: Annotated[
        str | None, typer.Option(help="Labels: COLUMN=VALUE,VALUE: take these rows only.", show_default="all rows")
    ] = None,
    hub_split: Annotated[str, typer.Option(help="Split of a Hub data set.")] = "train",
    hub_config: Annotated[str | None, typer.Option(help="Configuration of a Hub data set.")] = None,
    hub_revision: Annotated[str | None, typer.Option(help="Revision of a Hub data set.")] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Count bad rows instead of stopping.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier prepared folder.")] = False,
    json: JsonOption = False,
) -> None:
    """Turn question-answer pairs or labelled texts into a BEIR folder: documents, queries, splits, manifest."""
    from training.chunking import CHUNK_CHARACTERS
    from training.dealing import prepare_labels
    from training.holding_out import parse_hold_out
    from training.labels import read_labels
    from training.pairs import read_pairs
    from training.preparation import PrepareOptions, check_target
    from training.preparation import prepare as prepare_pairs
    from training.splitting import SplitOptions

    of_pairs = {"question": question, "answer": answer, "chunk_characters": chunk_characters}
    of_labels = {"text": text, "label": label, "where": where}
    _check_unused(of_labels if kind is Kind.pairs else of_pairs, kind)
    check_target(out, overwrite)
    held = tuple(map(parse_hold_out, hold_out or ()))
    held_dev = tuple(parse_hold_out(each, "--hold-out-dev") for each in hold_out_dev or ())
    reading: dict[str, Any] = {
        "columns": [each.column for each in (*held, *held_dev)],
        "hub_split": hub_split,
        "hub_config": hub_config,
        "hub_revision": hub_revision,
        "skip_bad": skip_bad,
    }
    options = SplitOptions(split.value, test_size, seed, held, held_dev)
    found: Pairs | Labels
    if kind is Kind.pairs:
        found = read_pairs(source, question=question, answer=answer, **reading)
        cut = PrepareOptions(**vars(options), chunk_characters=chunk_characters or CHUNK_CHARACTERS)
        manifest = prepare_pairs(found, out, cut, overwrite)
    else:
        wanted = parse_hold_out(where, "--where") if where else None
        found = read_labels(source, text=text, label=label, where=wanted, **reading)
        manifest = prepare_labels(found, out, options, overwrite)
    if json:
        print_json({**manifest, "skipped_rows": found.skipped})
        return
    for line in found.skipped:
        typer.echo(f"skipped: {line}", err=True)
    _print(out, kind, manifest)


def _check_unused(options: dict[str, Any], kind: Kind) -> None:
    """Make sure that no option is given which has no meaning for this kind."""
    given = next((name for name, value in options.items() if value is not None), None)
    if given:
        raise typer.BadParameter(f"--{given.replace('_', '-')} has no meaning for --kind {kind.value}: leave it out")


def _print(out: Path, kind: Kind, manifest: dict[str, Any]) -> None:
    counts = manifest["counts"]
    if kind is Kind.pairs:
        rows, documents = f"{counts['pairs']} pairs ({counts['skipped']} skipped)", "chunks"
        because = "near-duplicates of held-out ones"
    else:
        rows = (
            f"{counts['texts']} texts of {counts['labels']} labels ({counts['skipped']} skipped, "
            f"{counts['repeated']} repeated, {counts['out_of_scope']} without a label)"
        )
        documents, because = "documents", "near-duplicates of held-out ones, or of a label without training texts,"
    if counts["left_out"]:
        typer.echo(f"{counts['left_out']} {'pairs' if kind is Kind.pairs else 'texts'} are {because} and in no split")
    typer.echo(
        f"{out}: {rows}, {counts['chunks']} {documents}; "
        f"queries: {counts['train_queries']} train, {counts['dev_queries']} dev, {counts['test_queries']} test; "
        f"fingerprint {manifest['fingerprint'][:12]}"
    )
