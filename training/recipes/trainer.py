"""The Trainer of sentence-transformers, fed with the batches that a miner has filled, with checkpoints of our own."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
from datasets import Dataset
from sentence_transformers import SentenceTransformerTrainer
from sentence_transformers.base.sampler import DefaultBatchSampler
from torch import Tensor
from transformers import PrinterCallback, TrainerCallback
from transformers.trainer import TRAINER_STATE_NAME

from registry.errors import OutputError
from training.mining.examples import Examples
from training.runs import checkpoints, processes
from training.runs.checkpoints import Checkpoint
from training.runs.progress import Advance
from training.runs.random_state import random_state, restore_random_state
from training.runs.training_state import fits, moment_tensors, restore_moments, restore_weights, weight_tensors

log = logging.getLogger(__name__)

_NUMBER = "number"
"""The only column of the Trainer's data set: the number of an example."""

StepHearer = Callable[[int, int, Callable[[], float]], None]
"""Called with the step, the number of all steps, and what gives the sum of the losses."""


class MinedBatchTrainer(SentenceTransformerTrainer):
    """Trains on given batches instead of random ones, and goes on from checkpoints.

    The Trainer's own checkpoints are pickles, so the methods that write and read their parts are replaced. Its
    ``trainer_state.json`` stays, by which it finds its position in the data.
    """

    def __init__(self, *, examples: Examples, advance: Advance, heard_by: StepHearer, **options: Any) -> None:
        """
        Args:
            examples: what is trained on; the texts of a step are read when it is due.
            advance: moves the progress bar.
            heard_by: called after every step.
            options: of the Trainer; its output folder is that of the checkpoints.
        """
        self._examples = examples
        self._tensors: dict[str, Tensor] = {}
        self._numbers: dict[str, Any] = {}
        super().__init__(
            train_dataset=Dataset.from_dict({_NUMBER: np.arange(len(examples))}),
            callbacks=[_ProgressCallback(self, advance, heard_by), _CheckpointCallback(self)],
            **options,
        )
        self.remove_callback(PrinterCallback)

    def train_from(self, checkpoint: Checkpoint | None) -> Any:
        """Train, from the start unless there is a checkpoint that fits, and return what the Trainer does.

        All other checkpoints are removed.
        """
        taken = checkpoint if checkpoint and all(processes.gather(self._take(checkpoint))) else None
        if processes.is_main_process():
            checkpoints.remove_checkpoints(self._folder, but=taken)
            if taken:
                log.warning("resuming fine-tuning from %s", taken.folder)
        return self.train(resume_from_checkpoint=str(taken.folder) if taken else None)

    def _take(self, checkpoint: Checkpoint) -> bool:
        """Read a checkpoint, if it is of this model, trained in as many processes, on such a device, as precisely."""
        tensors, numbers = checkpoint.tensors(), checkpoint.numbers()
        if fits(self.model, tensors) and (checkpoint.finished or numbers["where"] == self._where()):
            self._tensors, self._numbers = tensors, numbers
            return True
        log.warning("%s: does not fit this training, which begins again", checkpoint.folder)
        return False

    def _where(self) -> dict[str, Any]:
        precision = self.accelerator.mixed_precision
        return {"processes": processes.count(), "device": self.args.device.type, "precision": precision}

    @property
    def _folder(self) -> Path:
        return Path(str(self.args.output_dir))

    def get_batch_sampler(self, *arguments: Any, **options: Any) -> Any:
        """The given batches, if any."""
        if self._examples.batches is None:
            return super().get_batch_sampler(*arguments, **options)
        return MinedBatchSampler(self._examples.batches)

    def get_data_collator(self, *arguments: Any, **options: Any) -> Any:
        """That of the model, for examples of which the numbers are given."""
        return _NumberCollator(self._examples, super().get_data_collator(*arguments, **options))

    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        """No such callback: the card is our own."""

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Write a checkpoint; one that cannot be written is only reported, for training does not need it."""
        randoms = processes.gather(random_state(self.args.device))
        if not processes.is_main_process():
            return
        scaler, scheduler = getattr(self.accelerator, "scaler", None), cast(Any, self.lr_scheduler)
        finished = self.state.global_step >= self.state.max_steps
        moments = {} if finished else moment_tensors(self.model, self.optimizer)
        tensors = {**weight_tensors(self.model), **moments, "loss": self._tr_loss.cpu()}
        numbers = {
            "where": self._where(),
            "schedule": scheduler.state_dict(),
            "scaler": scaler.state_dict() if scaler else None,
            "random": randoms,
        }
        step = self.state.global_step
        try:
            with checkpoints.new_checkpoint(self._folder, step, finished, tensors, numbers) as folder:
                self.state.save_to_json(str(folder / TRAINER_STATE_NAME))
        except OutputError as error:
            log.warning("no checkpoint: %s", error)

    def _load_from_checkpoint(self, *_: Any) -> None:
        restore_weights(self.model, self._tensors)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is None:
            return
        optimizer, scheduler = cast(Any, self.optimizer), cast(Any, self.lr_scheduler)
        restore_moments(self.model, optimizer, self._tensors)
        scheduler.load_state_dict(self._numbers["schedule"])
        for group, rate in zip(optimizer.param_groups, scheduler.get_last_lr(), strict=True):
            group["lr"] = rate

    def _load_scaler(self, checkpoint: str | None) -> None:
        if checkpoint is not None and self._numbers["scaler"]:
            self.accelerator.scaler.load_state_dict(self._numbers["scaler"])

    def _load_rng_state(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            restore_random_state(self._numbers["random"][processes.rank()], self.args.device)

    def loss_so_far(self) -> float:
        """The sum of the losses of all steps; of those of this process, where there are several."""
        return float(self._tr_loss)

    def resume_loss(self) -> None:
        """Go on with the sum of the losses; the mean is then over all steps, not only over those of this process."""
        if self._numbers:
            self._tr_loss.copy_(self._tensors["loss"])
            self._initial_global_step = self._globalstep_last_logged = 0
            self._tensors = {}  # nothing else is taken from them


class _NumberCollator:
    """Reads the examples of which it gets the numbers, and collates them."""

    def __init__(self, examples: Examples, collate: Any) -> None:
        self._examples = examples
        self._collate = collate
        self.valid_label_columns = collate.valid_label_columns

    def __call__(self, numbers: list[dict[str, int]]) -> Any:
        return self._collate([self._examples.row(each[_NUMBER]) for each in numbers])


class MinedBatchSampler(DefaultBatchSampler):
    """Batches of given sizes, in the order of the data; with several processes, each takes its slice of every batch.

    Slices follow each other, because accelerate hands out batches to the processes in turn. A remainder, which would
    make slices uneven, is left out.
    """

    def __init__(self, sizes: list[int]) -> None:
        super().__init__(range(sum(sizes)), batch_size=max(sizes), drop_last=False)
        self.batch_size = None  # type: ignore[assignment]  # accelerate must not expect it of every batch
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


class _ProgressCallback(TrainerCallback):
    """Moves the progress bar, and says how far the training is."""

    def __init__(self, trainer: MinedBatchTrainer, advance: Advance, heard_by: StepHearer) -> None:
        self._trainer, self._advance, self._heard_by = trainer, advance, heard_by

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._advance(state.global_step, total=state.max_steps)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._advance(1)
        self._heard_by(state.global_step, state.max_steps, self._trainer.loss_so_far)


class _CheckpointCallback(TrainerCallback):
    """Lets the Trainer write a checkpoint from time to time and at the end."""

    def __init__(self, trainer: MinedBatchTrainer) -> None:
        self._trainer = trainer
        self._asked = self._due_at = 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._trainer.resume_loss()
        self._due_at = time.monotonic() + checkpoints.pause(cost=0.0)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._asked = time.monotonic()
        control.should_save = processes.agree(state.global_step >= state.max_steps or self._asked >= self._due_at)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        now = time.monotonic()
        self._due_at = now + checkpoints.pause(cost=now - self._asked)
