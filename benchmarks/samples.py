"""Takes samples of data sets for the benchmarks."""

from __future__ import annotations

from training.sources.pairs import Pairs


def spread(pairs: Pairs, count: int | None) -> Pairs:
    """Take ``count`` pairs, spread evenly over the file; all of them if there are no more."""
    total = len(pairs.pairs)
    if count is None or count >= total:
        return pairs
    return Pairs(pairs.source, [pairs.pairs[index * total // count] for index in range(count)])
