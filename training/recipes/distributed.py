"""One fine-tuning that all processes share: the first one hands out the work, the others wait for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sentence_transformers import SentenceTransformer

from training.mining.examples import Examples
from training.recipes.finetune import finetune, train_adapter_only
from training.recipes.recipes import Recipe
from training.retrieval.states import State
from training.runs import processes
from training.runs.checkpoints import Checkpoint
from training.runs.watching import NOBODY, Watcher

Load = Callable[[Path], SentenceTransformer]
"""Loads a model folder."""


@dataclass(frozen=True)
class FineTuning:
    """One fine-tuning, as every process needs to know it.

    Attributes:
        weights: folder of the model that it starts from.
        examples: the training examples; every process reads their texts itself, from the same files.
        seed: of everything random in it.
        adapter_seed: of an adapter's first weights.
        checkpoints: the folder of its checkpoints.
        start: the checkpoint to go on from, if any.
        name: for the progress bar and errors.
    """

    weights: Path
    examples: Examples
    seed: int
    adapter_seed: int
    checkpoints: Path
    start: Checkpoint | None
    name: str


def fine_tune(
    task: FineTuning, load: Load, recipe: Recipe, base: State, watcher: Watcher = NOBODY
) -> tuple[SentenceTransformer, dict[str, float]]:
    """Fine-tune together with the processes that wait in :func:`help_to_fine_tune`.

    Returns:
        The trained model, and what :func:`training.recipes.finetune.finetune` returns.
    """
    return _fine_tune(processes.broadcast(task), load, recipe, base, watcher)


def help_to_fine_tune(load: Load, recipe: Recipe) -> Any:
    """Take part in each fine-tuning of the first process; returns the result that it broadcasts at the end."""
    while isinstance(received := processes.receive(), FineTuning):
        _fine_tune(received, load, recipe, None)
    return received


def _fine_tune(
    task: FineTuning, load: Load, recipe: Recipe, base: State | None, watcher: Watcher = NOBODY
) -> tuple[SentenceTransformer, dict[str, float]]:
    model = load(task.weights)
    if recipe.lora:
        train_adapter_only(model, recipe.lora, task.adapter_seed)
    trained = finetune(model, task.examples, recipe, task.seed, task.checkpoints, task.name, base, task.start, watcher)
    return model, trained
