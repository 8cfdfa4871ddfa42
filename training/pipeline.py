"""From a file of pairs to a registered model in one call, which continues where a killed one stopped."""

from __future__ import annotations

from registry import BaseModelFiles, Registry, resolve_base_model
from registry.paths import PathLike, local_path
from training.adaptation import adapt
from training.job import TrainingJob
from training.prepared.format import read_prepared
from training.prepared.preparation import prepare
from training.publishing import publish
from training.recipes.recipes import Contrastive, Recipe
from training.reporting.report import TrainingReport
from training.sources.pairs import read_pairs


def train_domain(
    source: PathLike,
    domain: str,
    folder: PathLike,
    registry: Registry,
    *,
    recipe: Recipe | None = None,
    base: BaseModelFiles | None = None,
) -> TrainingReport:
    """Prepare question-answer pairs, adapt a base model to them, and register the model, whatever it gains.

    What an earlier call completed is not repeated.

    Args:
        source: see :func:`training.read_pairs`.
        domain: its name.
        folder: gets the prepared data, as ``<domain>``, and the model, as ``<domain>-model``.
        registry: where to register the model, if it has none of that domain.
        recipe: how to train; by default ``Contrastive()``.
        base: where adaptation starts; by default all-MiniLM-L6-v2.

    Raises:
        DomainRouterError: see :func:`training.read_pairs`, :func:`training.prepare`, :func:`training.adapt` and
            :func:`training.publish`.
    """
    folder = local_path(folder)
    prepared, model = folder / domain, folder / f"{domain}-model"
    if not prepared.exists():
        prepare(read_pairs(source), prepared)
    if not model.exists():
        adapt(
            TrainingJob(read_prepared(prepared), domain, base or resolve_base_model(), recipe or Contrastive()), model
        )
    if not registry.versions(domain):
        publish(model, registry, force=True)
    return TrainingReport.load(model)
