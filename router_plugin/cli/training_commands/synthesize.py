"""``domain-router synthesize``: bare documents to question-answer pairs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from router_plugin.cli.model_options import fields_of, with_fields
from router_plugin.cli.options import JsonOption, LlmOptions, named_path, refuse_options
from router_plugin.cli.printing import print_json
from training.synthesis.options import SynthesisOptions

if TYPE_CHECKING:
    from training.llm.chat import ChatModel
    from training.synthesis.passages import Passage, SyntheticPair

EXAMPLE = "Example: domain-router synthesize docs --out work/docs-pairs.jsonl"


@with_fields
def synthesize(
    context: typer.Context,
    corpus: Annotated[Path, typer.Argument(help="Text, Markdown, HTML or JSONL file, another table, or a folder.")],
    out: Annotated[
        Path,
        typer.Option(
            help="JSONL file to write: question, answer, document, title, kind.", parser=named_path, metavar="<path>"
        ),
    ],
    *,
    options: Annotated[SynthesisOptions, fields_of(SynthesisOptions)],
    llm: LlmOptions,
    model: Annotated[str | None, typer.Option(help="Language model: its name.", show_default=False)] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Count bad files and rows instead of stopping.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier file.")] = False,
    json: JsonOption = False,
) -> None:
    """Make question-answer pairs of bare documents, by a language model or, without --llm, of their own words."""
    from training.errors import SourceError
    from training.llm.options import open_model
    from training.synthesis.documents import read_documents
    from training.synthesis.output import check_file, write_pairs
    from training.synthesis.passages import LEAST_WORDS, cut_passages
    from training.tables.reading import BadRows

    if (llm is None) != (model is None):
        raise typer.BadParameter("`url` needs `model`, and `model` needs `url`")
    if llm:
        refuse_options(context, ("seed",), "with `url`")
    else:
        refuse_options(context, ("questions",), "without `url`")
    check_file(out, overwrite)
    opened = open_model(str(model), llm) if llm else None
    bad = BadRows(skip_bad)
    documents = read_documents(corpus, bad, text=options.text, title=options.title)
    passages = cut_passages(documents, options.chunk_characters)
    pairs = _pairs(passages, opened, options)
    if not pairs:
        raise SourceError(f"{corpus}: nothing in it can be asked for: expected passages of at least a few sentences")
    write_pairs(pairs, out)
    done = _summary(len(documents), passages, pairs, opened)
    if json:
        print_json({**done, "skipped": bad.lines})
        return
    for line in bad.lines:
        typer.echo(f"skipped: {line}", err=True)
    if done["without_passages"]:
        without = f"{done['without_passages']} documents have no passage of {LEAST_WORDS} words of their own"
        typer.echo(without, err=True)
    kinds = ", ".join(f"{count} {kind}" for kind, count in done["kinds"].items())
    typer.echo(f"{out}: {len(pairs)} pairs ({kinds}) of {len(passages)} passages in {len(documents)} documents")
    if opened:
        typer.echo(opened.spending.describe())


def _pairs(passages: list[Passage], model: ChatModel | None, options: SynthesisOptions) -> list[SyntheticPair]:
    if model is None:
        from training.synthesis.extraction import extract_pairs

        return extract_pairs(passages, options.seed)
    from training.synthesis.llm_questions import ask_pairs

    return ask_pairs(passages, model, options.questions)


def _summary(
    documents: int, passages: list[Passage], pairs: list[SyntheticPair], model: ChatModel | None
) -> dict[str, Any]:
    from training.synthesis.output import counts_by_kind

    done = {
        "documents": documents,
        "without_passages": documents - len({passage.document for passage in passages}),
        "passages": len(passages),
        "pairs": len(pairs),
        "kinds": counts_by_kind(pairs),
    }
    if model is None:
        return done
    spent = model.spending
    return {
        **done,
        "requests": spent.requests,
        "tokens_in": spent.read,
        "tokens_out": spent.written,
        "cost": spent.cost,
    }
