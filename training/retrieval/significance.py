"""The gain of a model in every headline metric, with its interval and p-value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from registry.gates.significance import compare
from training.retrieval.metrics import HEADLINE


def compare_metrics(
    base: Mapping[str, NDArray[np.float64]],
    adapted: Mapping[str, NDArray[np.float64]],
    seed: int,
    sets: Sequence[slice] = (slice(None),),
) -> dict[str, dict[str, float]]:
    """The comparison of every headline metric, by its name; see :func:`registry.gates.significance.compare`."""
    return {metric: asdict(compare(base[metric], adapted[metric], seed, sets)) for metric in HEADLINE}
