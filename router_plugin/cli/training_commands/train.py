"""``domain-router train``: prepared data, of one set or several, to an adapted model."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from registry.names import DEFAULT_BASE_MODEL
from router_plugin.cli.named_values import joined_sets, named, named_numbers, prepared_sets
from router_plugin.cli.options import (
    BudgetOption,
    CacheOption,
    ConcurrencyOption,
    DeviceOption,
    JsonOption,
    KeyVariableOption,
    LlmUrlOption,
    NewRegistryOption,
    PriceInOption,
    PriceOutOption,
    TimeoutOption,
    existing_registry,
    llm_options,
    named_path,
)
from router_plugin.cli.printing import print_json, print_table
from router_plugin.cli.training_commands.variants import print_variants

if TYPE_CHECKING:
    from registry import ModelRecord
    from training.reporting.report import TrainingReport

EXAMPLE = "Example: domain-router train work/legal --domain legal --out work/legal-model --register"


class RecipeName(str, Enum):
    """Which recipe."""

    contrastive = "contrastive"
    triplet = "triplet"


def _number(help: str, **limits: Any) -> Any:
    return typer.Option(help=help, show_default="the recipe's", rich_help_panel="Numbers of the recipe", **limits)


def _dims(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(number) for number in text.split(","))
    except ValueError:
        raise typer.BadParameter(f"{text}: expected whole numbers with commas between them, like 256,128") from None


def train(
    context: typer.Context,
    data: Annotated[
        list[str],
        typer.Argument(metavar="[NAME=]DIR...", help="Folder that prepare wrote; of several one model is made."),
    ],
    domain: Annotated[str, typer.Option(help="Name of the domain.")],
    out: Annotated[Path, typer.Option(help="Model folder to write.", parser=named_path, metavar="<path>")],
    recipe: Annotated[
        RecipeName, typer.Option(help="contrastive: InfoNCE, interpolated weights; triplet: the reference.")
    ] = RecipeName.contrastive,
    base_model: Annotated[str, typer.Option(help="SentenceTransformer folder or Hub id.")] = DEFAULT_BASE_MODEL,
    revision: Annotated[str | None, typer.Option(help="Revision of the base model on the Hub.")] = None,
    register: Annotated[bool, typer.Option("--register", help="Register the model when it is trained.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Register even if the base was not beaten or a --max-loss is broken.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier model folder.")] = False,
    batch_shares: Annotated[
        list[str] | None,
        typer.Option(
            "--share",
            metavar="NAME=SHARE",
            help="Of several folders: share of the batches of one; repeatable.",
            show_default="the same for all",
        ),
    ] = None,
    single_set_baselines: Annotated[
        list[str] | None,
        typer.Option(
            "--beside",
            metavar="NAME=MODEL",
            help="Of several folders: the model of one alone, a version or a folder, to report beside; repeatable.",
        ),
    ] = None,
    extra_test_sets: Annotated[
        list[str] | None,
        typer.Option(
            "--also-evaluate",
            metavar="NAME=DIR",
            help="Measure on the test split of this prepared folder too; repeatable.",
        ),
    ] = None,
    max_loss: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=LOSS",
            help="MRR@5 that may be lost on that set, or on test, the domain's own: 0 to 1; repeatable.",
        ),
    ] = None,
    seeds: Annotated[
        list[int] | None,
        typer.Option(
            "--seed",
            min=0,
            max=2**31,
            help="Seed of everything random; repeatable: each is trained, the best on dev kept.",
            metavar="<int>",
            show_default="42",
        ),
    ] = None,
    device: DeviceOption = None,
    encode_batch: Annotated[int, typer.Option(min=1, help="Texts encoded at a time.")] = 64,
    encode_with: Annotated[
        str | None,
        typer.Option(
            metavar="BACKEND", help="Mine and measure with this runtime, like openvino.", show_default="torch"
        ),
    ] = None,
    variant: Annotated[
        list[str] | None,
        typer.Option(metavar="BACKEND", help="Add a variant for this runtime, as variants does; repeatable."),
    ] = None,
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Let the base model run code of its own.")
    ] = False,
    mixed: Annotated[
        list[str] | None,
        typer.Option(
            "--mix", metavar="NAME=DIR", help="Learn from the training split of this prepared folder too; repeatable."
        ),
    ] = None,
    specialist: Annotated[
        bool,
        typer.Option("--specialist", help="contrastive: only the domain's questions count: --min-gain-kept 1."),
    ] = False,
    iterations: Annotated[int | None, _number("Rounds of mine, fine-tune, evaluate.")] = None,
    epochs: Annotated[int | None, _number("Passes over the examples in an iteration.")] = None,
    batch_size: Annotated[int | None, _number("Examples a step.")] = None,
    learning_rate: Annotated[float | None, _number("Learning rate after warm-up.")] = None,
    warmup_steps: Annotated[float | None, _number("Warm-up steps; below 1 a share of all.")] = None,
    weight_decay: Annotated[float | None, _number("Weight decay.")] = None,
    max_length: Annotated[int | None, _number("Tokens a text is cut at while training.")] = None,
    interpolation_weight: Annotated[float | None, _number("Share of trained weights in the result, 0 to 1.")] = None,
    min_gain_kept: Annotated[
        float | None, _number("Share of the gain on dev that the smallest such share shall keep, 0 to 1.")
    ] = None,
    lora: Annotated[int | None, _number("Train a LoRA adapter of this rank instead of all weights.")] = None,
    dims: Annotated[
        Any, _number("Leading dimensions that shall serve alone too, like 256,128.", parser=_dims, metavar="N,N")
    ] = None,
    freeze_documents: Annotated[
        bool | None, _number("contrastive: train queries only; an existing index stays valid.")
    ] = None,
    random_negative_ratio: Annotated[float | None, _number("contrastive: fraction of random negatives.")] = None,
    mix_ratio: Annotated[float | None, _number("contrastive: share of the batches that --mix takes.")] = None,
    max_negative_ratio: Annotated[
        float | None, _number("contrastive: what scores higher, relative to the right text, is no negative.")
    ] = None,
    negatives: Annotated[int | None, _number("contrastive: mined negatives a query.")] = None,
    scale: Annotated[float | None, _number("contrastive: inverse temperature.")] = None,
    mini_batch: Annotated[int | None, _number("contrastive: texts in memory at a time.")] = None,
    min_steps: Annotated[int | None, _number("contrastive: steps an iteration has at least.")] = None,
    max_epochs: Annotated[int | None, _number("contrastive: passes added for min-steps end here.")] = None,
    margin: Annotated[float | None, _number("triplet: margin of the cosine distance.")] = None,
    easy_per_hard: Annotated[int | None, _number("triplet: easy triplets kept for each hard one.")] = None,
    judge: Annotated[
        str,
        typer.Option(
            metavar="JUDGE",
            help="ground-truth: the prepared labels alone; llm or cross-encoder: grades what mining finds, too.",
        ),
    ] = "ground-truth",
    judge_model: Annotated[
        str | None,
        typer.Option(help="Model of the judge: its name at --llm, or a cross-encoder's folder or Hub id."),
    ] = None,
    judge_depth: Annotated[int, typer.Option(min=1, max=15, help="Judge: documents a query in an iteration.")] = 5,
    url: LlmUrlOption = None,
    key_variable: KeyVariableOption = None,
    concurrency: ConcurrencyOption = 4,
    timeout: TimeoutOption = 60.0,
    price_in: PriceInOption = 0.0,
    price_out: PriceOutOption = 0.0,
    budget: BudgetOption = None,
    cache: CacheOption = None,
    registry: NewRegistryOption = None,
    json: JsonOption = False,
) -> None:
    """Adapt a base model to a domain, measure it, and perhaps register it. Killed runs go on when started again."""
    from registry import resolve_base_model
    from registry.model_folders.variants import check_backend
    from router_plugin.plugins.registries import open_registry
    from router_plugin.plugins.relevance_judges import open_judge
    from training.adaptation import adapt
    from training.job import TrainingJob
    from training.judges.opening import JudgeOptions
    from training.judges.relevance import MeteredJudge
    from training.publishing import publish
    from training.recipes.recipes import SPECIALIST, make_recipe, number_names
    from training.reporting.report_page import PAGE
    from training.runs import processes
    from training.variants import add_variants

    given = {name: value for name, value in context.params.items() if name in number_names() and value is not None}
    numbers = {**(SPECIALIST if specialist else {}), **given}
    backends = [check_backend(name) for name in variant or ()]
    chosen = make_recipe(recipe.value, numbers)
    limits = named_numbers("max_loss", "LOSS", max_loss or ())
    shares = named_numbers("batch_shares", "WEIGHT", batch_shares or ())
    prepared = joined_sets("data", data)
    also = prepared_sets("extra_test_sets", extra_test_sets or ())
    others = prepared_sets("mixed", mixed or ())
    baselines = named("single_set_baselines", "MODEL", single_set_baselines or ())
    alone = {name: _record(model, registry) for name, model in baselines.items()}
    base = resolve_base_model(base_model, revision)
    opened = open_judge(
        JudgeOptions(
            judge=judge,
            judge_model=judge_model,
            device=device,
            trust_remote_code=trust_remote_code,
            llm=llm_options(context),
        )
    )
    job = TrainingJob(
        prepared,
        domain,
        base,
        chosen,
        batch_shares=shares,
        seeds=seeds or (42,),
        extra_test_sets=also,
        max_loss=limits,
        mixed=others,
        single_set_baselines=alone,
        judge=opened,
        judge_depth=judge_depth,
        encode_batch=encode_batch,
        encode_with=check_backend(encode_with) if encode_with else None,
        device=device,
        trust_remote_code=trust_remote_code,
    )
    store = open_registry(registry) if register else None
    report = adapt(job, out, overwrite=overwrite)
    if not processes.is_main_process():
        return
    if isinstance(opened, MeteredJudge):
        typer.echo(opened.spent(), err=True)
    if not json:
        print_gain(report, str(out))
        typer.echo(f"what changed, query by query: {out / PAGE}")
    added = (
        add_variants(out, prepared, backends, base=base, encode_batch=encode_batch, trust_remote_code=trust_remote_code)
        if backends
        else []
    )
    if added and not json:
        print_variants(added)
    version = (store.find_by_content(out) or publish(out, store, force)) if store else None
    if json:
        variants = [record.model_dump() for record in added]
        registered = version.name if version else None
        print_json({**report.model_dump(mode="json"), "variants": variants, "registered": registered})
    elif version:
        typer.echo(f"registered as {version.name}")


def print_gain(report: TrainingReport, title: str) -> None:
    """Both sides on every test set; then the details of the domain's own."""
    from registry.records import TEST
    from training.reporting.single_set_baselines import BASELINES, baseline_rows
    from training.reporting.verdicts import (
        BOTH_SIDES,
        OVER_DIMS,
        OVER_SEEDS,
        both_sides,
        broken_guards,
        headline_gains,
        over_dims,
        over_seeds,
    )

    print_table(f"{title}: {report.chosen}, {report.seconds} s", BOTH_SIDES, both_sides(report))
    if rows := baseline_rows(report):
        print_table("compared with the models of one set alone", BASELINES, rows)
    if rows := over_seeds(report):
        print_table(f"{len(report.seeds)} seeds", OVER_SEEDS, rows)
    if rows := over_dims(report):
        print_table("leading dimensions", OVER_DIMS, rows)
    own = report.evaluations[TEST]
    print_table(
        f"test: {own.queries} held-out queries",
        ("metric", "base", "adapted", "gain"),
        [
            (name, base, own.adapted[name], f"{own.adapted[name] - base:+.4f}")
            for name, base in own.base.items()
            if not name.endswith("@1")  # where all four are the same
        ],
    )
    for line in [*headline_gains(report), *broken_guards(report)]:
        typer.echo(line)
    if not report.improved:
        typer.echo("No iteration beat the base model on dev, so the model folder holds the base model's weights.")


def _record(model: str, registry: str | None) -> ModelRecord:
    """What is known of a trained model, which is a folder or a registered version."""
    from router_plugin.plugins.registries import open_registry
    from training.reporting.report import TrainingReport

    if Path(model).is_dir():
        return TrainingReport.load(Path(model)).record()
    return open_registry(existing_registry(registry)).get(model)
