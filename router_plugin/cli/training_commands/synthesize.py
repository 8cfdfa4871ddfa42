"""``domain-router synthesize``: makes question-answer pairs from bare documents."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from router_plugin.cli.model_options import fields_of, with_fields
from router_plugin.cli.named_values import PATH, named_path
from router_plugin.cli.options import JsonOption, LlmOptions, refuse_options
from router_plugin.cli.printing import print_json
from training.synthesis.options import SynthesisOptions

if TYPE_CHECKING:
    from training.llm.chat import ChatModel
    from training.synthesis.corpus import Synthesis

EXAMPLE = "Example: domain-router synthesize docs --out work/docs-pairs.jsonl"


@with_fields
def synthesize(
    context: typer.Context,
    corpus: Annotated[
        Path,
        typer.Argument(parser=named_path, help="Text, Markdown, HTML or JSONL file, another table, or a folder."),
    ],
    out: Annotated[
        Path,
        typer.Option(
            help="JSONL file to write: question, answer, document, title, kind.", parser=named_path, metavar=PATH
        ),
    ],
    *,
    options: Annotated[SynthesisOptions, fields_of(SynthesisOptions)],
    llm: LlmOptions,
    model: Annotated[str | None, typer.Option(help="Language model: its name.", show_default=False)] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Skip and count bad files and rows instead of stopping.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier file.")] = False,
    json: JsonOption = False,
) -> None:
    """Make question-answer pairs from bare documents: with a language model, or from their own words."""
    from training.llm.options import open_model
    from training.synthesis.corpus import synthesize as synthesize_pairs
    from training.synthesis.output import check_file, write_pairs

    if (llm is None) != (model is None):
        raise typer.BadParameter("`url` needs `model`, and `model` needs `url`")
    if llm:
        refuse_options(context, ("seed",), "with `url`")
    else:
        refuse_options(context, ("questions",), "without `url`")
    check_file(out, overwrite)
    opened = open_model(str(model), llm) if llm else None
    found = synthesize_pairs(corpus, options, opened, skip_bad=skip_bad)
    write_pairs(found.pairs, out)
    if json:
        print_json(_summary(found, opened))
    else:
        _print(out, found, opened)


def _print(out: Path, found: Synthesis, model: ChatModel | None) -> None:
    from training.synthesis.output import counts_by_kind
    from training.synthesis.passages import MIN_WORDS

    for line in found.skipped:
        typer.echo(f"skipped: {line}", err=True)
    if found.without_passages:
        unused = f"{found.without_passages} documents have no passage of at least {MIN_WORDS} words"
        typer.echo(f"{unused} that is not a duplicate", err=True)
    kinds = ", ".join(f"{count} {kind}" for kind, count in counts_by_kind(found.pairs).items())
    typer.echo(f"{out}: {len(found.pairs)} pairs ({kinds}) of {found.passages} passages in {found.documents} documents")
    if model:
        typer.echo(model.spending.describe())


def _summary(found: Synthesis, model: ChatModel | None) -> dict[str, Any]:
    from training.synthesis.output import counts_by_kind

    counts = {
        "documents": found.documents,
        "without_passages": found.without_passages,
        "passages": found.passages,
        "pairs": len(found.pairs),
        "kinds": counts_by_kind(found.pairs),
        "skipped": found.skipped,
    }
    if model is None:
        return counts
    spent = model.spending
    costs = {
        "requests": spent.requests,
        "tokens_in": spent.input_tokens,
        "tokens_out": spent.output_tokens,
        "cost": spent.cost,
    }
    return {**counts, **costs}
