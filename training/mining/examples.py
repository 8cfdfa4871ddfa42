"""Training examples in batches: columns of texts, split into batches and concatenated again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

Batch = dict[str, list[Any]]
"""The texts of a batch, by column."""


@dataclass(frozen=True)
class Examples:
    """The training examples of one iteration.

    Attributes:
        columns: texts by column: anchor, positive, and negatives; or anchor and ``label``, the query's position.
        batches: rows of each step, in order; None for random batches.
    """

    columns: Batch
    batches: list[int] | None = None

    def __len__(self) -> int:
        return len(self.columns["anchor"])


def batches_of(examples: Examples) -> Iterator[Batch]:
    """The examples batch by batch."""
    start = 0
    for size in examples.batches or ():
        yield {name: column[start : start + size] for name, column in examples.columns.items()}
        start += size


def concatenate(batches: Iterable[Batch]) -> Examples:
    """Batches with the same columns, one after the other; at least one."""
    all_batches = list(batches)
    columns = {name: [value for batch in all_batches for value in batch[name]] for name in all_batches[0]}
    return Examples(columns, [len(batch["anchor"]) for batch in all_batches])
