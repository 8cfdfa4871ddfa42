"""The label of a text by a vote of its nearest labelled texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from training.ranking import ranking

VOTERS = 5


def vote(queries: NDArray[np.float32], known: NDArray[np.float32], labels: Sequence[str]) -> list[str]:
    """The label that most of the 5 nearest have; of equals that of the nearest.

    Args:
        queries: unit vectors, ``(q, d)``.
        known: unit vectors of labelled texts, ``(n, d)``.
        labels: theirs.
    """
    return [
        Counter(labels[position] for position in row).most_common(1)[0][0] for row in ranking(queries, known, VOTERS)
    ]
