"""The Trainer of sentence-transformers, fed with the batches that a miner has filled."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sentence_transformers import SentenceTransformerTrainer
from sentence_transformers.base.sampler import DefaultBatchSampler
from transformers import PrinterCallback, TrainerCallback

from training.runs import processes
from training.runs.progress import Advance


class MinedBatchTrainer(SentenceTransformerTrainer):
    """Trains on given batches instead of random ones."""

    def __init__(self, *, batches: list[int] | None, advance: Advance, **options: Any) -> None:
        """
        Args:
            batches: sizes of the batches, in the order of the data; None for random batches.
            advance: moves the progress bar.
            options: of the Trainer.
        """
        self._batches = batches
        super().__init__(callbacks=[_ProgressCallback(advance)], **options)
        self.remove_callback(PrinterCallback)

    def get_batch_sampler(self, *arguments: Any, **options: Any) -> Any:
        """The given batches, if any."""
        if self._batches is None:
            return super().get_batch_sampler(*arguments, **options)
        return MinedBatchSampler(self._batches)

    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        """No such callback: the card is our own."""


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
    """Moves the progress bar."""

    def __init__(self, advance: Advance) -> None:
        self._advance = advance

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._advance(0, total=state.max_steps)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._advance(1)
