"""Hands a trained model folder to the registry."""

from pathlib import Path

from registry import ModelVersion, Registry
from training.errors import TrainingError
from training.report import read_record


def publish(folder: Path, registry: Registry, force: bool = False) -> ModelVersion:
    """Register a model folder as the next version of its domain.

    Args:
        folder: what ``adapt`` wrote.
        registry: where to.
        force: also if the model did not beat its base.

    Raises:
        TrainingError: the folder has no report, or the model did not beat its base and ``force`` is not given.
    """
    record = read_record(folder)
    if not record.improved and not force:
        raise TrainingError(f"{folder}: no iteration beat the base model on dev, so it is not registered; --force does")
    return registry.publish(folder, record)
