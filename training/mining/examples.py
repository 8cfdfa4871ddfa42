"""Training examples laid out in batches: columns of texts, taken apart batch by batch and put in a row again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

Rows = dict[str, list[Any]]
"""A batch: its texts column by column."""


@dataclass(frozen=True)
class Examples:
    """What one iteration learns from.

    Attributes:
        columns: texts column by column: anchor, positive, and one or more negatives; or anchor and ``label``, the
            query's position.
        batches: how many rows each step takes, in order; None for batches drawn at random.
    """

    columns: Rows
    batches: list[int] | None = None

    def __len__(self) -> int:
        return len(self.columns["anchor"])


def split(examples: Examples) -> Iterator[Rows]:
    """The examples batch by batch."""
    start = 0
    for size in examples.batches or ():
        yield {name: column[start : start + size] for name, column in examples.columns.items()}
        start += size


def in_a_row(batches: Iterable[Rows]) -> Examples:
    """Batches that have the same columns, one after the other; at least one."""
    laid = list(batches)
    columns = {name: [value for batch in laid for value in batch[name]] for name in laid[0]}
    return Examples(columns, [len(batch["anchor"]) for batch in laid])
