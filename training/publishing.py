"""Publishes a trained model folder to the registry."""

from __future__ import annotations

import logging

from registry import BaseModelError, ModelVersion, Profile, Registry
from registry.model_folders.adapter_files import base_of, is_adapter
from registry.model_folders.variants import read_variant, stored_variants, variant_folder
from registry.paths import PathLike, local_path
from training.errors import TrainingError
from training.reporting.report import TrainingReport
from training.reporting.verdicts import MAX_SHORTFALL, broken_limits, falls_short, hybrid_line, hybrid_wins

log = logging.getLogger(__name__)


def try_folder(folder: PathLike) -> None:
    """Load the model of a folder and try it, before it is published.

    One that cannot be loaded on this machine, because its base model is not here or it runs code of its own, is not
    tried, with a warning.

    Raises:
        BaseModelError: it is damaged, or its vectors are not usable.
    """
    from registry.model_folders.loading import find_base, load_sentence_transformer, try_model

    folder = local_path(folder, TrainingError)
    try:
        base = find_base(folder, None) if is_adapter(folder) else None
    except BaseModelError as error:
        log.warning("the model was not tried: %s", error)
        return
    try:
        model = load_sentence_transformer(folder, base, "cpu")
    except BaseModelError as error:
        if "trust_remote_code" not in str(error):
            raise
        log.warning("the model was not tried: %s", error)
        return
    try_model(model, str(folder))


def find_registered(folder: PathLike, registry: Registry, hybrid: bool) -> ModelVersion | None:
    """The newest version with exactly the files of a model folder, if there is one that ranks as is wanted.

    Args:
        folder: of a model.
        registry: where to look.
        hybrid: whether it must rank by BM25 too; otherwise it may.
    """
    found = registry.find_by_content(folder)
    return None if found and hybrid and found.ranking != "hybrid" else found


def publish(
    folder: PathLike, registry: Registry, force: bool = False, why: str | None = None, *, hybrid: bool = False
) -> ModelVersion:
    """Register a model folder as the next version of its domain.

    Args:
        folder: what ``adapt`` wrote.
        registry: where to publish.
        force: also if the model did not beat its base, lost more on a test set than `max_loss`, or has a variant that
            ranks worse than the model; and with ``hybrid`` if that does not win on dev.
        why: for the history.
        hybrid: routers rank the domain's routes by BM25 too, see :data:`registry.records.Ranking`.

    Raises:
        TrainingError: the folder has no report or another base model's adapter; or ``force`` is not given and the model
            did not beat its base, or lost more on a test set than it was allowed to, or has a variant that ranks worse;
            or ``hybrid`` does not win on dev.
        DamagedArtifactError: the folder has no classifier profile that can be read.
    """
    folder = local_path(folder, TrainingError)
    record = TrainingReport.load(folder).record()
    Profile.load(folder)
    if is_adapter(folder) and base_of(folder) != record.base_model:
        raise TrainingError(f"{folder}: the adapter belongs to another base model than its report says")
    if not record.improved and not force:
        raise TrainingError(
            f"{folder}: no iteration beat the base model on dev, so it is not registered; `force` registers it anyway"
        )
    if (broken := broken_limits(record)) and not force:
        raise TrainingError(f"{folder}: {' '.join(broken)} So it is not registered; `force` registers it anyway")
    if hybrid:
        if not hybrid_wins(record) and not force:
            measured = hybrid_line(record) or "its report does not compare the hybrid with the model on dev"
            raise TrainingError(
                f"{folder}: {measured}, so it is not registered as hybrid; `force` registers it so anyway"
            )
        record = record.model_copy(update={"ranking": "hybrid"})
    for backend in stored_variants(folder):
        variant = read_variant(variant_folder(folder, backend))
        if falls_short(variant) and not force:
            raise TrainingError(
                f"{folder}: its variant for {backend} was not measured, or ranks worse than the model on dev by more "
                f"than {MAX_SHORTFALL}, so it is not registered; `force` registers it anyway"
            )
    return registry.publish(folder, record, why)
