"""The terms by which groups of texts differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

PRIOR = 0.5
"""Texts that are added to every count."""
MIN_SCORE = 1.64
"""Standard deviations by which a term must be more frequent in a group than outside: the one-sided 5 % point."""


def distinguishing_terms(groups: Sequence[Sequence[str]], limit: int) -> list[list[str]]:
    """For each group the words that are most typical of it, the most typical first; fewer where there are no more.

    A word's score is the log odds of a text of the group having it, less those of the other groups' texts, divided by
    the standard deviation of that difference (Monroe et al., 2008, "Fightin' Words", section 3.5, with a flat prior).

    Args:
        groups: texts of each, at least two groups.
        limit: of terms for each.
    """
    from registry.texts.key_words import candidate_key_words

    counts = [Counter(word for text in texts for word in set(candidate_key_words(text))) for texts in groups]
    total, size = sum(counts, Counter[str]()), sum(map(len, groups))
    found = []
    for own, texts in zip(counts, groups, strict=True):
        scores = {word: _score(own[word], len(texts), total[word] - own[word], size - len(texts)) for word in own}
        typical = [word for word in sorted(scores, key=lambda word: (-scores[word], word)) if scores[word] >= MIN_SCORE]
        found.append(typical[:limit])
    return found


def _score(inside: int, size: int, outside: int, others: int) -> float:
    with_it, without = inside + PRIOR, size - inside + PRIOR
    with_it_outside, without_outside = outside + PRIOR, others - outside + PRIOR
    difference = np.log(with_it / without) - np.log(with_it_outside / without_outside)
    return float(difference / np.sqrt(1 / with_it + 1 / with_it_outside))
