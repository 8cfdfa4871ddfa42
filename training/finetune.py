"""One iteration of fine-tuning, with the Trainer of sentence-transformers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from sentence_transformers import (
    SentenceTransformer,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
)
from sentence_transformers.base.losses.merged_forward import column_merging_disabled
from sentence_transformers.base.sampler import BatchSamplers
from transformers import PrinterCallback, TrainerCallback, set_seed

from training.errors import TrainingError
from training.miners import Columns
from training.progress import Advance, bar
from training.recipes import Recipe


def finetune(
    model: SentenceTransformer, examples: Columns, recipe: Recipe, seed: int, scratch: Path, what: str
) -> dict[str, float]:
    """Train the model in place.

    Returns:
        ``steps``, and ``loss``, the mean over them.
    """
    set_seed(seed)
    on_cpu = model.device.type == "cpu"
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(scratch),
        num_train_epochs=recipe.trainer_epochs,
        per_device_train_batch_size=recipe.batch_size,
        learning_rate=recipe.learning_rate,
        warmup_steps=recipe.warmup_steps,
        weight_decay=recipe.weight_decay,
        batch_sampler=BatchSamplers.NO_DUPLICATES if recipe.distinct_batches else BatchSamplers.BATCH_SAMPLER,
        prompts=_prompts(model, examples),
        seed=seed,
        use_cpu=on_cpu,
        eval_strategy="no",
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=not on_cpu,
    )
    # one forward pass for all columns would pad queries to the length of documents, which only a GPU has time for
    apart = column_merging_disabled() if on_cpu else nullcontext()
    with bar(f"fine-tuning ({what})") as advance, _cut_at(model, recipe.max_length), apart:
        trainer = _Trainer(
            model=model,
            args=arguments,
            train_dataset=Dataset.from_dict(examples),
            loss=recipe.loss(model),
            callbacks=[_Advance(advance)],
        )
        trainer.remove_callback(PrinterCallback)
        result = trainer.train()
    model.eval()
    if not all(bool(torch.isfinite(weight).all()) for weight in model.parameters()):
        raise TrainingError(f"fine-tuning ({what}) diverged: choose a lower --learning-rate")
    return {"steps": result.global_step, "loss": result.training_loss}


def interpolate(model: SentenceTransformer, base: SentenceTransformer, share: float) -> None:
    """Move the model's weights towards the base model's: ``share`` of its own, the rest of the base's."""
    with torch.no_grad():
        for own, other in zip(model.parameters(), base.parameters(), strict=True):
            own.lerp_(other.to(own.device), 1 - share)


def _prompts(model: SentenceTransformer, examples: Columns) -> dict[str, str] | None:
    """The model's own prompts, queries' on anchors and documents' on the rest, as encoding uses them."""
    prompts = {column: model.prompts.get("query" if column == "anchor" else "document") or "" for column in examples}
    return prompts if any(prompts.values()) else None


@contextmanager
def _cut_at(model: SentenceTransformer, max_length: int | None) -> Iterator[None]:
    own = model.max_seq_length
    if max_length is not None and (own is None or max_length < own):
        model.max_seq_length = max_length
    try:
        yield
    finally:
        if own is not None:
            model.max_seq_length = own


class _Trainer(SentenceTransformerTrainer):
    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        """No such callback: the card is our own."""


class _Advance(TrainerCallback):
    """Moves the progress bar."""

    def __init__(self, advance: Advance) -> None:
        self._advance = advance

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._advance(0, total=state.max_steps)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._advance(1)
