"""Hands a trained model folder to the registry."""

from pathlib import Path

from registry import ModelVersion, Profile, Registry
from registry.adapters import base_of, is_adapter
from training.errors import TrainingError
from training.report import read_record
from training.verdicts import broken_guards


def publish(folder: Path, registry: Registry, force: bool = False) -> ModelVersion:
    """Register a model folder as the next version of its domain.

    Args:
        folder: what ``adapt`` wrote.
        registry: where to.
        force: also if the model did not beat its base, or lost more on a test set than it was allowed to.

    Raises:
        TrainingError: the folder has no report or another base model's adapter; or ``force`` is not given and the model
            did not beat its base, or lost more on a test set than it was allowed to.
        DamagedArtifactError: the folder has no classifier profile that can be read.
    """
    record = read_record(folder)
    Profile.load(folder)
    if is_adapter(folder) and base_of(folder) != record.base_model:
        raise TrainingError(f"{folder}: the adapter belongs to another base model than its report says")
    if not record.improved and not force:
        raise TrainingError(f"{folder}: no iteration beat the base model on dev, so it is not registered; --force does")
    if (broken := broken_guards(record)) and not force:
        raise TrainingError(f"{folder}: {' '.join(broken)} So it is not registered; --force does")
    return registry.publish(folder, record)
