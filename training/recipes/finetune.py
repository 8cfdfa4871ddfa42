"""One iteration of fine-tuning, with the Trainer of sentence-transformers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from sentence_transformers import SentenceTransformer, SentenceTransformerTrainingArguments
from torch import nn
from transformers import set_seed

from registry.model_folders.adapters import add_adapter, has_adapter
from registry.model_folders.input_config import InputConfig, Kind
from training.errors import TrainingError
from training.mining.examples import Examples
from training.recipes.length_slices import in_slices
from training.recipes.model_modules import branches
from training.recipes.recipes import Recipe
from training.recipes.trainer import MinedBatchTrainer
from training.retrieval.states import State
from training.runs import processes
from training.runs.checkpoints import Checkpoint
from training.runs.progress import bar
from training.runs.watching import NOBODY, Watcher


def finetune(
    model: SentenceTransformer,
    examples: Examples,
    recipe: Recipe,
    seed: int,
    checkpoints: Path,
    what: str,
    base: State | None = None,
    start: Checkpoint | None = None,
    watcher: Watcher = NOBODY,
) -> dict[str, float]:
    """Train a model in place.

    Args:
        model: the model to train.
        examples: the training examples.
        recipe: how to train; fitted to the number of examples, if it was not fitted to that of queries.
        seed: of everything random.
        checkpoints: the folder of its checkpoints.
        what: name for the progress bar and errors.
        base: the unadapted model, for recipes that learn from its embeddings.
        start: a checkpoint of the same training to go on from.
        watcher: hears of every step.

    Returns:
        ``steps``, and ``loss``, the mean over them.

    Raises:
        TrainingError: the recipe cannot train this kind of model, or training diverged.
    """
    recipe = recipe.fitted(len(examples))
    set_seed(seed)
    with _prepared(model, recipe), bar(f"fine-tuning ({what})") as advance:
        trainer = MinedBatchTrainer(
            model=model,
            args=_arguments(model, examples, recipe, seed, checkpoints),
            loss=_loss(recipe, model, base),
            examples=examples,
            advance=advance,
            heard_by=partial(watcher.stepped, what),
        )
        result = trainer.train_from(start)
    model.eval()
    if not all(bool(torch.isfinite(weight).all()) for weight in model.parameters()):
        raise TrainingError(f"fine-tuning ({what}) diverged: choose a lower `learning_rate`")
    return {"steps": result.global_step, "loss": result.training_loss}


def train_adapter_only(model: SentenceTransformer, rank: int, seed: int) -> None:
    """Freeze all weights but those of the model's adapter, which is created if missing."""
    if not has_adapter(model):
        torch.manual_seed(seed)
        add_adapter(model, rank)
    for name, weight in model.named_parameters():
        weight.requires_grad_(".lora_" in name)


def half_precision(device: torch.device) -> Literal["bf16", "fp16"] | None:
    """The mixed precision for a device: bfloat16 where its hardware multiplies it, else float16 on a GPU, else None."""
    if device.type == "cpu":
        return "bf16" if cpu_multiplies_bfloat16() else None
    if device.type != "cuda":
        return None
    return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"


def cpu_multiplies_bfloat16() -> bool:
    """Whether this CPU has instructions for products of bfloat16; without them, it is slower than float32."""
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def _arguments(
    model: SentenceTransformer, examples: Examples, recipe: Recipe, seed: int, checkpoints: Path
) -> SentenceTransformerTrainingArguments:
    on_cpu, half = model.device.type == "cpu", half_precision(model.device)
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(checkpoints),
        num_train_epochs=recipe.trainer_epochs,
        per_device_train_batch_size=max((recipe.batch_size or 1) // processes.count(), 1),
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
    arguments._n_gpu = min(arguments.n_gpu, 1)  # a process uses one GPU: with several, a step would be larger
    return arguments


@contextmanager
def _prepared(model: SentenceTransformer, recipe: Recipe) -> Iterator[None]:
    """The model as it is trained: with the recipe's maximum length, perhaps without dropout, on a CPU in slices."""
    with ExitStack() as changes:
        changes.enter_context(_max_length(model, recipe.max_length))
        if not recipe.dropout:
            changes.enter_context(_without_dropout(model))
        if model.device.type == "cpu":
            changes.enter_context(in_slices(model))
        yield


def _loss(recipe: Recipe, model: SentenceTransformer, base: State | None) -> nn.Module:
    try:
        return recipe.loss(model, base)
    except ValueError as error:  # from sentence-transformers: some losses cannot train some models
        raise TrainingError(f"recipe {recipe.name} with these options cannot train this base model: {error}") from error


def _prompts(model: SentenceTransformer, examples: Examples) -> dict[str, str] | None:
    """The model's own prompts, as encoding uses them: of queries for anchors, of documents for the rest."""
    inputs = InputConfig.of(model)
    prompts = {column: inputs.prompt(_task(column)) for column in examples.columns if column != "label"}
    return prompts if any(prompts.values()) else None


def _task(column: str) -> Kind:
    """Whether a column holds queries or documents: the model may have different prompts or weights for them."""
    return "query" if column == "anchor" else "document"


@contextmanager
def _max_length(model: SentenceTransformer, max_length: int | None) -> Iterator[None]:
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
