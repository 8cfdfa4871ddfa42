"""Texts in sorted order, by a merge of sorted blocks (Knuth, 1998, "Sorting and Searching", 5.4)."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence

BLOCK = 1024
"""Texts that are in memory to be sorted; while blocks are merged, it is one text of each."""


def in_order(texts: Sequence[str]) -> Iterator[str]:
    """The same as ``sorted(texts)``, but of the texts few are in memory at a time."""
    blocks = [
        sorted(range(start, min(start + BLOCK, len(texts))), key=texts.__getitem__)
        for start in range(0, len(texts), BLOCK)
    ]
    return heapq.merge(*(map(texts.__getitem__, block) for block in blocks))
