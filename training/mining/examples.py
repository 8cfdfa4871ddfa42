"""Training examples in batches: columns of texts, split into batches and concatenated again.

Columns are sequences that may read a text when it is accessed, so that the texts of one step are in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from training.lazy_texts.sequences import Chained

Batch = Mapping[str, Sequence[Any]]
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

    def row(self, number: int) -> dict[str, Any]:
        """An example, by column."""
        return {name: column[number] for name, column in self.columns.items()}


def batches_of(examples: Examples) -> Iterator[Batch]:
    """The examples batch by batch."""
    start = 0
    for size in examples.batches or ():
        yield {name: column[start : start + size] for name, column in examples.columns.items()}
        start += size


def concatenate(batches: Iterable[Batch]) -> Examples:
    """Batches with the same columns, one after the other; at least one."""
    all_batches = list(batches)
    columns = {name: Chained(batch[name] for batch in all_batches) for name in all_batches[0]}
    return Examples(columns, [len(batch["anchor"]) for batch in all_batches])
