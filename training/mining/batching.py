"""Lays examples out in batches in which no text stands that answers another query of the batch."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Example:
    """A query with documents by position: a relevant one first, then negatives."""

    query: int
    documents: tuple[int, ...]


@dataclass
class _Batch:
    examples: list[Example] = field(default_factory=list)
    answers: set[int] = field(default_factory=set)
    texts: set[int] = field(default_factory=set)


def lay_out(
    examples: Sequence[Example], answers: Sequence[set[int]], groups: Sequence[int], size: int
) -> list[list[Example]]:
    """Batches of at most ``size`` examples, in order but for examples that have to wait for a later batch.

    In-batch negatives are wrong where a document of one example answers the query of another; such examples never
    share a batch. There are no more batches than the examples would fill: where many answers are nearly the same, what
    finds no place is left out rather than learnt in batches that are nearly empty.

    Args:
        examples: in the order in which they are to be seen.
        answers: for each query the groups of documents that answer it.
        groups: for each document the group of its near-duplicates.
        size: of a batch.
    """
    waiting = deque(examples)
    batches: list[list[Example]] = []
    while waiting and len(batches) < math.ceil(len(examples) / size):
        batch, later = _Batch(), deque[Example]()
        while waiting and len(batch.examples) < size and len(later) < 8 * size:
            example = waiting.popleft()
            right, texts = answers[example.query], {groups[document] for document in example.documents}
            if batch.answers.isdisjoint(texts) and batch.texts.isdisjoint(right):
                batch.examples.append(example)
                batch.answers |= right
                batch.texts |= texts
            else:
                later.append(example)
        waiting.extendleft(reversed(later))
        batches.append(batch.examples)
    return batches
