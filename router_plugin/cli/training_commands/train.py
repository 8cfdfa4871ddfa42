"""``domain-router train``: prepared data, of one set or several, to an adapted model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from registry.names import DEFAULT_BASE_MODEL
from registry.paths import is_path
from router_plugin.cli.model_options import Fields, fields_of, with_fields
from router_plugin.cli.named_values import PATH, joined_sets, named, named_path, prepared_sets
from router_plugin.cli.options import (
    HybridOption,
    JsonOption,
    LlmOptions,
    NewRegistryOption,
    existing_registry,
    usable_device,
)
from router_plugin.cli.printing import print_json, print_table
from router_plugin.cli.training_commands.variants import print_variants
from training.judges.options import JudgeOptions
from training.options import TrainingOptions, WorkerOptions
from training.recipes.recipes import RECIPES, SPECIALIST, Contrastive, Recipe, make_recipe

if TYPE_CHECKING:
    from registry import ModelRecord
    from registry.model_folders.variants import Backend, VariantRecord
    from training.job import TrainingJob
    from training.reporting.report import TrainingReport

EXAMPLE = "Example: domain-router train work/legal --domain legal --out work/legal-model --register"


def _chosen(values: Mapping[str, Any], given: dict[str, Any]) -> Recipe:
    return make_recipe(values["recipe"], {**(SPECIALIST if values["specialist"] else {}), **given})


@with_fields
def train(
    data: Annotated[
        list[str],
        typer.Argument(metavar="[NAME=]DIR...", help="Folder that prepare wrote; several folders give one model."),
    ],
    domain: Annotated[str, typer.Option(help="Name of the domain.")],
    out: Annotated[Path, typer.Option(help="Model folder to write.", parser=named_path, metavar=PATH)],
    *,
    base_model: Annotated[str, typer.Option(help="SentenceTransformer folder or Hub id.")] = DEFAULT_BASE_MODEL,
    revision: Annotated[str | None, typer.Option(help="Revision of the base model on the Hub.")] = None,
    register: Annotated[bool, typer.Option("--register", help="Register the model when it is trained.")] = False,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Register even if the base was not beaten, a --max-loss is broken, or --hybrid does not win on dev.",
        ),
    ] = False,
    hybrid: HybridOption = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier model folder.")] = False,
    mixed: Annotated[
        list[str] | None,
        typer.Option(
            "--mix", metavar="NAME=DIR", help="Also train on the training split of this prepared folder. Repeatable."
        ),
    ] = None,
    extra_test_sets: Annotated[
        list[str] | None,
        typer.Option(
            "--also-evaluate",
            metavar="NAME=DIR",
            help="Also evaluate on the test split of this prepared folder. Repeatable.",
        ),
    ] = None,
    guards: Annotated[
        list[str] | None,
        typer.Option(
            "--guard",
            metavar="NAME=DIR",
            help="Bound the interpolation weight by what is lost on the dev queries of this prepared folder, which is "
            "not trained on. Repeatable.",
        ),
    ] = None,
    single_set_baselines: Annotated[
        list[str] | None,
        typer.Option(
            "--compare-with",
            metavar="NAME=MODEL",
            help="With several training sets, the model of one of them alone, a version or a folder, to compare with. "
            "Repeatable.",
        ),
    ] = None,
    variant: Annotated[
        list[str] | None,
        typer.Option(metavar="BACKEND", help="Add a variant for this runtime, as variants does. Repeatable."),
    ] = None,
    options: Annotated[
        TrainingOptions,
        fields_of(
            TrainingOptions,
            flags={"seeds": "--seed", "batch_shares": "--batch-share"},
            callbacks={"device": usable_device},
        ),
    ],
    judge_options: Annotated[JudgeOptions, fields_of(JudgeOptions, "judge", "judge_model")],
    llm: LlmOptions,
    recipe: Annotated[
        str, typer.Option(help="contrastive (InfoNCE, interpolated weights) or triplet (the reference).")
    ] = Contrastive.name,
    specialist: Annotated[
        bool,
        typer.Option(
            "--specialist", help="contrastive: only the domain's own queries matter; the same as --min-gain-kept 1."
        ),
    ] = False,
    chosen: Annotated[Recipe, Fields(RECIPES, _chosen, flags={"mixed": "--mix"})],
    workers: Annotated[WorkerOptions, fields_of(WorkerOptions)],
    registry: NewRegistryOption = None,
    json: JsonOption = False,
) -> None:
    """Adapt a base model to a domain and evaluate it; --register registers it too. A killed run resumes."""
    from registry.model_folders.variants import check_backend
    from router_plugin.plugins.registries import open_registry
    from training.adaptation import adapt
    from training.judges.grades import MeteredJudge
    from training.publishing import find_registered, publish
    from training.reporting.report_page import PAGE
    from training.runs import processes

    if hybrid and not register:
        raise typer.BadParameter("`hybrid` says how a version is registered: it needs --register")
    if workers.ray_workers and not options.ray:
        raise typer.BadParameter("`ray_workers` says how many processes of a cluster train: it needs --ray")
    backends = [check_backend(name) for name in variant or ()]
    make_job = partial(
        _job,
        data,
        domain,
        base_model,
        revision,
        chosen,
        replace(options, ray=None) if workers.ray_workers else options,
        judge_options.replace(device=options.device, trust_remote_code=options.trust_remote_code, llm=llm),
        extra_test_sets or (),
        mixed or (),
        guards or (),
        single_set_baselines or (),
        registry,
    )
    job = make_job()
    store = open_registry(registry) if register else None
    if store:
        store.create()
    if options.ray and workers.ray_workers:
        from training.worker_group import adapt_in_workers

        report = adapt_in_workers(make_job, out, options.ray, workers, overwrite=overwrite)
    else:
        report = adapt(job, out, overwrite=overwrite)
    if not processes.is_main_process():
        return
    if isinstance(job.judge, MeteredJudge):
        typer.echo(job.judge.spent(), err=True)
    if not json:
        print_gain(report, str(out))
        typer.echo(f"what changed, query by query: {out / PAGE}")
    added = _variants(job, out, backends) if backends else []
    if added and not json:
        print_variants(added)
    version = (find_registered(out, store, hybrid) or publish(out, store, force, hybrid=hybrid)) if store else None
    registered = version.name if version else None
    if json:
        variants = [record.model_dump() for record in added]
        print_json({**report.model_dump(mode="json"), "variants": variants, "registered": registered})
    elif registered:
        typer.echo(f"registered as {registered}")


def _job(
    data: Sequence[str],
    domain: str,
    base_model: str,
    revision: str | None,
    recipe: Recipe,
    options: TrainingOptions,
    judge_options: JudgeOptions,
    extra_test_sets: Sequence[str],
    mixed: Sequence[str],
    guards: Sequence[str],
    single_set_baselines: Sequence[str],
    registry: str | None,
) -> TrainingJob:
    """The job that the options describe; a worker of Ray makes it of them, too."""
    from registry import resolve_base_model
    from router_plugin.plugins.relevance_judges import open_judge
    from training.job import TrainingJob

    return TrainingJob(
        joined_sets("data", data),
        domain,
        resolve_base_model(base_model, revision),
        recipe,
        extra_test_sets=prepared_sets("extra_test_sets", extra_test_sets),
        mixed=prepared_sets("mixed", mixed),
        guards=prepared_sets("guards", guards),
        single_set_baselines=_baselines(single_set_baselines, registry),
        judge=open_judge(judge_options),
        **vars(options),
    )


def _variants(job: TrainingJob, out: Path, backends: list[Backend]) -> list[VariantRecord]:
    from training.variants import add_variants

    return add_variants(
        out,
        job.training_set,
        backends,
        base=job.base,
        encode_batch=job.encode_batch,
        trust_remote_code=job.trust_remote_code,
    )


def _baselines(given: Sequence[str], registry: str | None) -> dict[str, ModelRecord]:
    """What is known of trained models: folders or registered versions."""
    from router_plugin.plugins.registries import open_registry
    from training.reporting.report import TrainingReport

    found = {}
    for name, model in named("single_set_baselines", "MODEL", given).items():
        if is_path(model) or Path(model).is_dir():
            found[name] = TrainingReport.load(model).record()
        else:
            found[name] = open_registry(existing_registry(registry)).get(model)
    return found


def print_gain(report: TrainingReport, title: str) -> None:
    """Both models on every test set; then the details of the domain's own."""
    from registry.records import TEST
    from training.reporting.single_set_baselines import BASELINE_COLUMNS, baseline_rows
    from training.reporting.verdicts import (
        DIMS_COLUMNS,
        EVALUATION_COLUMNS,
        SEED_COLUMNS,
        broken_limits,
        dims_rows,
        evaluation_rows,
        headline_gains,
        hybrid_line,
        seed_rows,
    )

    print_table(f"{title}: {report.chosen}, {report.seconds} s", EVALUATION_COLUMNS, evaluation_rows(report))
    if rows := baseline_rows(report):
        print_table("compared with single-set models", BASELINE_COLUMNS, rows)
    if rows := seed_rows(report):
        print_table(f"{len(report.seeds)} seeds", SEED_COLUMNS, rows)
    if rows := dims_rows(report):
        print_table("leading dimensions", DIMS_COLUMNS, rows)
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
    for line in filter(None, [*headline_gains(report), hybrid_line(report), *broken_limits(report)]):
        typer.echo(line)
    if not report.improved:
        typer.echo("No iteration beat the base model on dev, so the model folder holds the base model's weights.")
