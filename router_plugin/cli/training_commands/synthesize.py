"""``domain-router synthesize``: makes question-answer pairs from bare documents."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from router_plugin.cli.model_options import fields_of, with_fields
from router_plugin.cli.named_values import PATH, named_path
from router_plugin.cli.options import JsonOption, LlmOptions, refuse_options, usable_device
from router_plugin.cli.printing import print_json
from training.judges.options import CROSS_ENCODER, GROUND_TRUTH, LLM, JudgeOptions
from training.synthesis.options import SynthesisOptions

if TYPE_CHECKING:
    from training import LanguageModelOptions, RelevanceJudge
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
            help="JSONL file to write: question, answer, document, title, kind, grade.",
            parser=named_path,
            metavar=PATH,
        ),
    ],
    *,
    options: Annotated[SynthesisOptions, fields_of(SynthesisOptions)],
    llm: LlmOptions,
    model: Annotated[
        str | None, typer.Option(help="Language model: name of the one that asks the questions.", show_default=False)
    ] = None,
    judge: Annotated[
        str | None,
        typer.Option(
            help="Keep only pairs that this judge finds good: llm, cross-encoder or the judge of a plugin.",
            metavar="JUDGE",
            show_default=False,
        ),
    ] = None,
    judge_options: Annotated[
        JudgeOptions,
        fields_of(JudgeOptions, "judge_model", "device", "trust_remote_code", callbacks={"device": usable_device}),
    ],
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Skip and count bad files and rows instead of stopping.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier file.")] = False,
    json: JsonOption = False,
) -> None:
    """Make question-answer pairs from bare documents: with a language model, or from their own words."""
    from router_plugin.plugins.relevance_judges import open_judge
    from training.judges.grades import MeteredJudge
    from training.llm.options import open_model
    from training.synthesis.corpus import synthesize as synthesize_pairs
    from training.synthesis.output import check_file, write_pairs

    _check_combination(context, llm, model, judge)
    check_file(out, overwrite)
    asking = open_model(model, llm) if model and llm else None
    judging = open_judge(judge_options.replace(judge=judge, llm=llm)) if judge else None
    found = synthesize_pairs(corpus, options, asking, judge=judging, skip_bad=skip_bad)
    write_pairs(found.pairs, out)
    if json:
        print_json(_summary(found, llm, judging))
    else:
        _print(out, found, llm, judging)
    if isinstance(judging, MeteredJudge) and judge != LLM:  # whose costs are among those of the language model
        typer.echo(judging.spent(), err=True)


def _check_combination(
    context: typer.Context, llm: LanguageModelOptions | None, model: str | None, judge: str | None
) -> None:
    """Make sure that every option that is given has a use.

    Raises:
        typer.BadParameter: one has none.
    """
    if (model and not llm) or (llm and not model and judge in (None, CROSS_ENCODER)):
        raise typer.BadParameter("`url` needs `model`, and `model` needs `url`")
    if model:
        refuse_options(context, ("seed",), "with `model`")
    else:
        refuse_options(context, ("questions",), "without `model`")
    if judge is None:
        refuse_options(context, ("judge_model", "device", "trust_remote_code"), "without `judge`")
    elif judge == LLM:
        refuse_options(context, ("device", "trust_remote_code"), f"with `judge` {LLM}")
    elif judge == GROUND_TRUTH:
        raise typer.BadParameter(
            f"`judge` {judge}: there are no labels to go by: expected {LLM}, {CROSS_ENCODER} or a judge of a plugin"
        )


def _print(out: Path, found: Synthesis, llm: LanguageModelOptions | None, judge: RelevanceJudge | None) -> None:
    from training.synthesis.output import counts_by_grade, counts_by_kind
    from training.synthesis.passages import MIN_WORDS

    for line in found.skipped:
        typer.echo(f"skipped: {line}", err=True)
    if found.without_passages:
        unused = f"{found.without_passages} documents have no passage of at least {MIN_WORDS} words"
        typer.echo(f"{unused} that is not a duplicate", err=True)
    kinds = ", ".join(f"{count} {kind}" for kind, count in counts_by_kind(found.pairs).items())
    typer.echo(f"{out}: {len(found.pairs)} pairs ({kinds}) of {found.passages} passages in {found.documents} documents")
    if judge:
        grades = ", ".join(f"grade {grade}: {count}" for grade, count in counts_by_grade(found.left_out).items())
        total = len(found.pairs) + len(found.left_out)
        typer.echo(f"the judge left out {len(found.left_out)} of {total} pairs" + (f" ({grades})" if grades else ""))
    if llm:
        typer.echo(llm.spending.describe())


def _summary(found: Synthesis, llm: LanguageModelOptions | None, judge: RelevanceJudge | None) -> dict[str, Any]:
    from training.synthesis.output import counts_by_grade, counts_by_kind, examples_by_grade

    counts: dict[str, Any] = {
        "documents": found.documents,
        "without_passages": found.without_passages,
        "passages": found.passages,
        "pairs": len(found.pairs),
        "kinds": counts_by_kind(found.pairs),
        "skipped": found.skipped,
    }
    if judge:
        counts |= {
            "judge": judge.identity,
            "left_out": len(found.left_out),
            "left_out_by_grade": counts_by_grade(found.left_out),
            "left_out_examples": [pair._asdict() for pair in examples_by_grade(found.left_out)],
        }
    if llm:
        counts |= {
            "requests": llm.spending.requests,
            "tokens_in": llm.spending.input_tokens,
            "tokens_out": llm.spending.output_tokens,
            "cost": llm.spending.cost,
        }
    return counts
