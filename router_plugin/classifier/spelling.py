"""Corrects misspelt words by the words that the domains' queries share, for telling domains apart only."""

from __future__ import annotations

from collections.abc import Iterable

from registry.classifier_profiles.features import normalised, words

SHORTEST = 4
"""A shorter word is one error away from too many others."""
LEAST_UNKNOWN = 0.25
"""Share of the words of a text that must be unknown for it to be corrected."""
MOST = 24
"""Unknown words of a text that are looked up: a text that has more is not misspelt but foreign or very long."""


class Corrector:
    """Replaces unknown words by the nearest known ones: one error away, or two where the word is long.

    A text of which most words are known stays as it is: what else it has are names and rare words, not errors.
    """

    def __init__(self, vocabulary: Iterable[str]) -> None:
        self._known = frozenset(vocabulary)
        self._sorted = sorted(word for word in self._known if len(word) >= SHORTEST)

    def correct(self, text: str) -> str:
        """The words of a text, corrected."""
        read = words(normalised(text))
        unknown = {word for word in read if word not in self._known}
        if not unknown or len(unknown) > MOST or len(unknown) < LEAST_UNKNOWN * len(read):
            return text
        nearest = {word: self._nearest(word) for word in unknown}
        return " ".join(nearest.get(word, word) for word in read)

    def _nearest(self, word: str) -> str:
        if len(word) < SHORTEST or not word.isalpha():
            return word
        from rapidfuzz.distance import OSA
        from rapidfuzz.process import extractOne

        found = extractOne(word, self._sorted, scorer=OSA.distance, score_cutoff=1 if len(word) < 6 else 2)
        return found[0] if found else word
