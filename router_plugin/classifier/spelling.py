"""Corrects misspelt words with the vocabulary of the domains' queries. Used only to classify, never to embed."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from registry.classifier_profiles.features import WORDS, read_words
from registry.texts.words import is_unspaced

SHORTEST = 4
"""Shorter words are one error away from too many others, and are not corrected."""
MIN_UNKNOWN = 0.25
"""Minimum fraction of unknown words for a text to be corrected."""
MAX_UNKNOWN = 24
"""Maximum number of unknown words: a text with more is not misspelt but in another language, or very long."""


class Corrector:
    """Replaces unknown words by the nearest known ones: at most one error away, or two for long words.

    A text with few unknown words stays as it is: they are names and rare words rather than errors. Words of scripts
    that are written without spaces are not corrected.
    """

    def __init__(self, vocabulary: Iterable[str], version: int = WORDS) -> None:
        """
        Args:
            vocabulary: the known words.
            version: of how words are read.
        """
        self._version = version
        self._known = frozenset(vocabulary)
        self._sorted = sorted(word for word in self._known if len(word) >= SHORTEST)

    def correct(self, text: str) -> str:
        """The words of a text, corrected."""
        read = read_words(text, self._version).runs
        unknown = {word for word in read if word not in self._known and not self._is_unspaced(word)}
        if not unknown or len(unknown) > MAX_UNKNOWN or len(unknown) < MIN_UNKNOWN * len(read):
            return text
        nearest = {word: self._nearest(word) for word in unknown}
        return " ".join(nearest.get(word, word) for word in read)

    def _nearest(self, word: str) -> str:
        if len(word) < SHORTEST or not _has_letters_only(word):
            return word
        from rapidfuzz.distance import OSA
        from rapidfuzz.process import extractOne

        found = extractOne(word, self._sorted, scorer=OSA.distance, score_cutoff=1 if len(word) < 6 else 2)
        return found[0] if found else word

    def _is_unspaced(self, word: str) -> bool:
        return self._version > 1 and is_unspaced(word)


def _has_letters_only(word: str) -> bool:
    """Whether a word is of letters and their marks."""
    return word.isalpha() or all(each.isalpha() or unicodedata.category(each)[0] == "M" for each in word)
