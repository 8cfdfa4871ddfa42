"""Parts of data sets that the benchmarks use."""

from __future__ import annotations

from training.sources.pairs import Pairs


def spread(pairs: Pairs, count: int | None) -> Pairs:
    """So many pairs, spread evenly over the file; all where there are no more."""
    total = len(pairs.pairs)
    if count is None or count >= total:
        return pairs
    return Pairs(pairs.source, [pairs.pairs[index * total // count] for index in range(count)])
