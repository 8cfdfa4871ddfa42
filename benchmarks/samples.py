"""Reads data sets, and takes samples of them, for the benchmarks."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

from training.sources.pairs import Pairs


def spread(pairs: Pairs, count: int | None) -> Pairs:
    """Take ``count`` pairs, spread evenly over the file; all of them if there are no more."""
    total = len(pairs.pairs)
    if count is None or count >= total:
        return pairs
    return Pairs(pairs.source, [pairs.pairs[index * total // count] for index in range(count)])


def rows_of(file: Path) -> list[dict[str, Any]]:
    """The rows of a compressed JSONL file."""
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]
