"""What is refused before long work: jobs that cannot be run, and base models that their recipe cannot train."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.names import check_domain
from registry.records import TEST, check_test_set
from training.errors import TrainingError
from training.prepared.format import SPLITS, PreparedData
from training.prepared.joined import complete_batch_shares
from training.recipes.model_modules import branches
from training.runs import processes

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

    from training.job import TrainingJob
    from training.recipes.recipes import Recipe


def check_job(job: TrainingJob) -> None:
    """Make sure that a job can be run; see :class:`training.job.TrainingJob` for what is raised."""
    check_domain(job.domain)
    _check_joining(job)
    _check_test_sets(job)
    _check_limits(job)
    _check_mixing(job)
    _check_guards(job)
    _check_baselines(job)
    _check_judge(job)
    if job.ray and job.encode_with:
        raise TrainingError("`ray` cannot be used with `encode_with`: a cluster encodes with torch")


def check_processes(recipe: Recipe) -> None:
    """Make sure that the recipe can be trained by the processes that were started.

    Raises:
        TrainingError: there are several, and it needs a single one.
    """
    if processes.count() > 1 and recipe.same_documents:
        raise TrainingError("`freeze_documents` needs a single process: start it without torchrun")


def check_base_model(base: SentenceTransformer, recipe: Recipe) -> None:
    """Make sure that the recipe can train the base model.

    Raises:
        TrainingError: it cannot.
    """
    if recipe.same_documents and len(branches(base)) > 1:
        raise TrainingError(
            "`freeze_documents` cannot be used with a base model that has separate weights for queries: choose another"
        )
    dimension = base.get_embedding_dimension() or 0
    if recipe.dims and max(recipe.dims) > dimension:
        raise TrainingError(f"`dims` {max(recipe.dims)}: the base model has only {dimension} dimensions")


def _check_joining(job: TrainingJob) -> None:
    if job.training_set.parts and not job.recipe.lays_out_batches:
        raise TrainingError(
            "several sets can be trained on with the recipe contrastive only, and not with `freeze_documents`: "
            "train on one"
        )
    for name, data in (job.training_set.parts or {"": job.training_set}).items():
        for split in SPLITS:
            _check_queries(f"training data {name}".strip(), data, split, "prepare them with `split` grouped or random")
    complete_batch_shares(job.training_set, job.batch_shares)


def _check_test_sets(job: TrainingJob) -> None:
    for name, data in job.extra_test_sets.items():
        check_test_set(name)
        if name in job.training_set.parts:
            raise TrainingError(f"`extra_test_sets` {name}: a set of that name is trained on: choose another name")
        _check_queries(f"`extra_test_sets` {name}", data, TEST, "prepare it with `split` test")


def _check_limits(job: TrainingJob) -> None:
    known = (TEST, *job.training_set.parts, *job.extra_test_sets)
    for name in job.max_loss:
        if name not in known:
            raise TrainingError(
                f"`max_loss` {name}: unknown test set: expected {', '.join(known)}; add others with `extra_test_sets`"
            )


def _check_mixing(job: TrainingJob) -> None:
    if job.mixed and not job.recipe.lays_out_batches:
        raise TrainingError(
            "`mixed` can be used with the recipe contrastive only, and not with `freeze_documents`: leave one out"
        )
    for name, data in job.mixed.items():
        _check_queries(f"`mixed` {name}", data, "train", "prepare them with `split` grouped or random")


def _check_guards(job: TrainingJob) -> None:
    if job.guards and job.recipe.interpolation_weight is not None:
        raise TrainingError("`guards` choose the interpolation weight, and `interpolation_weight` sets it: use one")
    for name, data in job.guards.items():
        check_test_set(name)
        _check_queries(f"`guards` {name}", data, "dev", "prepare it with `split` grouped or random")
    for name in job.guard_loss:
        if name not in job.guards:
            raise TrainingError(f"`guard_loss` {name}: unknown guard: expected {', '.join(job.guards) or 'none'}")


def _check_baselines(job: TrainingJob) -> None:
    parts = job.training_set.parts
    for name, model in job.single_set_baselines.items():
        if name not in parts:
            known = f"expected one of {', '.join(parts)}" if parts else "expected several sets to train on"
            raise TrainingError(f"`single_set_baselines` {name}: no set of that name is trained on: {known}")
        given, needed = model.dataset.fingerprint, parts[name].fingerprint
        if given != needed:
            raise TrainingError(
                f"`single_set_baselines` {name}: that model was trained on other data (fingerprint {given[:12]}, not "
                f"{needed[:12]}): train it on the same prepared folder"
            )


def _check_judge(job: TrainingJob) -> None:
    if job.judge and job.training_set.parts:
        raise TrainingError("`judge` cannot be used with several sets: train on one")
    if job.judge and job.recipe.same_documents:
        raise TrainingError("`judge` cannot be used with `freeze_documents`, which mines nothing: leave one out")


def _check_queries(what: str, data: PreparedData, split: str, remedy: str) -> None:
    if not data.qrels[split]:
        named = "training" if split == "train" else split
        raise TrainingError(f"{what}, prepared from {data.manifest.get('source')}: no {named} queries: {remedy}")
