"""Fills batches so that no document of a batch answers another query of it.

Like ``NoDuplicatesBatchSampler`` of sentence-transformers, but by relevance and near-duplicates instead of equal texts.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from training.runs.progress import track


@dataclass(frozen=True)
class Example:
    """A query and documents, by position: a relevant document first, then negatives."""

    query: int
    documents: tuple[int, ...]


@dataclass
class _Batch:
    examples: list[Example] = field(default_factory=list)
    answers: set[int] = field(default_factory=set)
    texts: set[int] = field(default_factory=set)


def fill_batches(
    examples: Sequence[Example], answers: Sequence[set[int]], groups: Sequence[int], size: int
) -> list[list[Example]]:
    """Batches of at most ``size`` examples, in order except for those that have to wait for a later batch.

    If a document of one example answers the query of another, it is a false in-batch negative; such examples never
    share a batch. The number of batches is limited to what the examples would fill: with many nearly equal answers,
    examples that fit nowhere are left out rather than put into nearly empty batches.

    Args:
        examples: in the desired order.
        answers: for each query the groups of documents that answer it.
        groups: for each document the group of its near-duplicates.
        size: of a batch.
    """
    waiting = deque(examples)
    batches: list[list[Example]] = []
    for _ in track(range(math.ceil(len(examples) / size)), "filling batches"):
        if not waiting:
            break
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
