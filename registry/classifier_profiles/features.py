"""Lexical features of texts: hashed counts, which are compatible across machines without a common vocabulary.

Weinberger et al., 2009, "Feature Hashing for Large Scale Multitask Learning".
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix
    from sklearn.feature_extraction import FeatureHasher

WORD_BUCKETS = 1 << 17
BUCKETS = 2 * WORD_BUCKETS
"""First words and pairs of words, then character 2- to 4-grams within words."""

_WORD = re.compile(r"\w+")


def normalised(text: str) -> str:
    """The text in lower case and in Unicode normal form KC."""
    return unicodedata.normalize("NFKC", text).lower()


def words(text: str) -> list[str]:
    """The words of a normalised text."""
    return _WORD.findall(text)


def lexical_features(texts: Iterable[str]) -> csr_matrix:
    """Counts of hashed words and character n-grams, ``(n, BUCKETS)``, float32."""
    from scipy.sparse import csr_matrix

    parts = [part for text in texts for part in _parts(text)]
    counts = _hasher().transform(parts)  # two rows a text, in one call: the overhead of a call is higher than its work
    characters = np.repeat(np.arange(len(parts)) % 2, np.diff(counts.indptr))
    indices = counts.indices + WORD_BUCKETS * characters
    return csr_matrix((counts.data, indices, counts.indptr[::2]), shape=(len(parts) // 2, BUCKETS))


def named_features(text: str) -> dict[str, int]:
    """The words, pairs of words and character n-grams of a text, and the bucket that each is counted in.

    The n-grams are in quotes, spaces included.
    """
    named: dict[str, int] = {}
    for offset, found, name in zip((0, WORD_BUCKETS), _parts(text), ("{}", "'{}'"), strict=True):
        parts = list(dict.fromkeys(found))
        buckets = _hasher().transform([[part] for part in parts]).indices if parts else ()
        named |= {name.format(part): offset + int(bucket) for part, bucket in zip(parts, buckets, strict=True)}
    return named


def _parts(text: str) -> tuple[list[str], list[str]]:
    """The words and pairs of words of a text, and its character n-grams."""
    read = normalised(text)
    by_words, by_characters = _analyzers()
    return by_words(read), by_characters(" ".join(words(read)))


@cache
def _analyzers() -> tuple[Callable[[str], list[str]], Callable[[str], list[str]]]:
    from sklearn.feature_extraction.text import HashingVectorizer

    by_words = HashingVectorizer(analyzer="word", token_pattern=_WORD.pattern, ngram_range=(1, 2), lowercase=False)
    by_characters = HashingVectorizer(analyzer="char_wb", ngram_range=(2, 4), lowercase=False)
    return by_words.build_analyzer(), by_characters.build_analyzer()


@cache
def _hasher() -> FeatureHasher:
    from sklearn.feature_extraction import FeatureHasher

    return FeatureHasher(WORD_BUCKETS, input_type="string", alternate_sign=False, dtype=np.float32)
