"""One iteration of fine-tuning, with the Trainer of sentence-transformers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from datasets import Dataset
from sentence_transformers import (
    SentenceTransformer,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
)
from sentence_transformers.base.sampler import DefaultBatchSampler
from torch import nn
from transformers import PrinterCallback, TrainerCallback, set_seed

from registry.model_folders.adapters import add_adapter, has_adapter
from registry.model_folders.input_config import InputConfig, Kind
from training.errors import TrainingError
from training.mining.examples import Examples
from training.recipes.length_slices import in_slices
from training.recipes.model_modules import branches
from training.recipes.recipes import Recipe
from training.retrieval.states import State
from training.runs import processes
from training.runs.progress import Advance, bar


def finetune(
    model: SentenceTransformer,
    examples: Examples,
    recipe: Recipe,
    seed: int,
    scratch: Path,
    what: str,
    base: State | None = None,
) -> dict[str, float]:
    """Train the model in place.

    Args:
        model: learns.
        examples: what is learnt.
        recipe: how.
        seed: of everything random.
        scratch: a folder for what nobody needs afterwards.
        what: for the progress bar and errors.
        base: the untouched model, for recipes that learn from its embeddings.

    Returns:
        ``steps``, and ``loss``, the mean over them.
    """
    set_seed(seed)
    on_cpu, half = model.device.type == "cpu", half_precision(model.device)
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(scratch),
        num_train_epochs=recipe.trainer_epochs,
        per_device_train_batch_size=max(recipe.batch_size // processes.count(), 1),
        learning_rate=recipe.learning_rate,
        warmup_steps=recipe.warmup_steps,
        weight_decay=recipe.weight_decay,
        prompts=_prompts(model, examples),
        router_mapping={column: str(_task(column)) for column in examples.columns if column != "label"},
        bf16=half == "bf16",
        fp16=half == "fp16",
        seed=seed,
        use_cpu=on_cpu,
        eval_strategy="no",
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=not on_cpu,
    )
    arguments._n_gpu = min(arguments.n_gpu, 1)  # several are for several processes: else a step would be larger
    with ExitStack() as while_training:
        advance = while_training.enter_context(bar(f"fine-tuning ({what})"))
        while_training.enter_context(_cut_at(model, recipe.max_length))
        if not recipe.dropout:
            while_training.enter_context(_without_dropout(model))
        if on_cpu:
            while_training.enter_context(in_slices(model))
        trainer = _Trainer(
            model=model,
            args=arguments,
            train_dataset=Dataset.from_dict(examples.columns),
            loss=_loss(recipe, model, base),
            callbacks=[_Advance(advance)],
        )
        trainer.batches = examples.batches
        trainer.remove_callback(PrinterCallback)
        result = trainer.train()
    model.eval()
    if not all(bool(torch.isfinite(weight).all()) for weight in model.parameters()):
        raise TrainingError(f"fine-tuning ({what}) diverged: choose a lower --learning-rate")
    return {"steps": result.global_step, "loss": result.training_loss}


def train_adapter_only(model: SentenceTransformer, rank: int, seed: int) -> None:
    """Freeze all weights but those of the model's adapter, which is created if missing."""
    if not has_adapter(model):
        torch.manual_seed(seed)
        add_adapter(model, rank)
    for name, weight in model.named_parameters():
        weight.requires_grad_(".lora_" in name)


def half_precision(device: torch.device) -> Literal["bf16", "fp16"] | None:
    """What mixed precision a device trains in: bfloat16 on a GPU that has it, else float16; None where it is no GPU."""
    if device.type != "cuda":
        return None
    return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"


def _loss(recipe: Recipe, model: SentenceTransformer, base: State | None) -> nn.Module:
    try:
        return recipe.loss(model, base)
    except ValueError as error:  # in the words of sentence-transformers: some losses cannot train some models
        raise TrainingError(f"recipe {recipe.name} with these options cannot train this base model: {error}") from error


def _prompts(model: SentenceTransformer, examples: Examples) -> dict[str, str] | None:
    """The model's own prompts, queries' on anchors and documents' on the rest, as encoding uses them."""
    inputs = InputConfig.of(model)
    prompts = {column: inputs.prompt(_task(column)) for column in examples.columns if column != "label"}
    return prompts if any(prompts.values()) else None


def _task(column: str) -> Kind:
    """What the texts of a column are to the model: it may have other prompts or other weights for it."""
    return "query" if column == "anchor" else "document"


@contextmanager
def _cut_at(model: SentenceTransformer, max_length: int | None) -> Iterator[None]:
    readers: list[Any] = [modules[0] for modules in branches(model).values()]
    limits = [getattr(reader, "max_seq_length", None) for reader in readers]
    cut = [
        (reader, limit)
        for reader, limit in zip(readers, limits, strict=True)
        if max_length is not None and limit is not None and max_length < limit < math.inf
    ]
    for reader, _ in cut:
        reader.max_seq_length = max_length
    try:
        yield
    finally:
        for reader, limit in cut:
            reader.max_seq_length = limit


@contextmanager
def _without_dropout(model: SentenceTransformer) -> Iterator[None]:
    attribute = {True: "p", False: "attention_dropout"}
    layers = [(module, attribute[isinstance(module, nn.Dropout)]) for module in model.modules()]
    rates = [(module, name, rate) for module, name in layers if isinstance(rate := getattr(module, name, None), float)]
    for module, name, _ in rates:
        setattr(module, name, 0.0)
    try:
        yield
    finally:
        for module, name, rate in rates:
            setattr(module, name, rate)


class _Laid(DefaultBatchSampler):
    """Batches of set sizes, in the order of the data; of several processes each has its slice of every batch.

    Slices follow each other, for accelerate deals batches out in turn; a remainder, which would make slices uneven, is
    left out.
    """

    def __init__(self, sizes: list[int]) -> None:
        super().__init__(range(sum(sizes)), batch_size=max(sizes), drop_last=False)
        self.batch_size = None  # type: ignore[assignment]  # none that accelerate could ask of every batch
        self._sizes = sizes
        self._slices = processes.count()

    def __len__(self) -> int:
        return self._slices * sum(size >= self._slices for size in self._sizes)

    def __iter__(self) -> Iterator[list[int]]:
        start = 0
        for size in self._sizes:
            each = size // self._slices
            for first in range(start, start + each * self._slices, each or 1):
                yield list(range(first, first + each))
            start += size


class _Trainer(SentenceTransformerTrainer):
    batches: list[int] | None = None

    def get_batch_sampler(self, *arguments: Any, **options: Any) -> Any:
        """The miner's batches, where it laid them out."""
        return super().get_batch_sampler(*arguments, **options) if self.batches is None else _Laid(self.batches)

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
