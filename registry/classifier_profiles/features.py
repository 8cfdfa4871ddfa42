"""Lexical features of texts: hashed counts, which are compatible across machines without a common vocabulary.

Weinberger et al., 2009, "Feature Hashing for Large Scale Multitask Learning".
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from registry.texts.forms import visible
from registry.texts.words import is_plain, is_unspaced, runs, words

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix
    from sklearn.feature_extraction import FeatureHasher

WORD_BUCKETS = 1 << 17
BUCKETS = 2 * WORD_BUCKETS
"""First words and pairs of words, then character 2- to 4-grams within words."""

WORDS = 2
"""How words are read. Version 1 split them at marks, and did not split scripts that are written without spaces."""

_PLAIN_WORD = re.compile(r"\w+")


class Words(NamedTuple):
    """The words of a text, and the same as they stand there, where it is written without spaces."""

    words: Sequence[str]
    runs: Sequence[str]


def read_words(text: str, version: int = WORDS) -> Words:
    """The words of a text, in lower case and in Unicode normal form KC.

    Args:
        text: any.
        version: of the reading, 1 or :data:`WORDS`. Both read a text alike for which :func:`reads_alike` is true.
    """
    read = text.lower() if text.isascii() else unicodedata.normalize("NFKC", text).lower()
    if version == 1 or is_plain(read):
        found = _PLAIN_WORD.findall(read)
        return Words(found, found)
    read = unicodedata.normalize("NFKC", visible(text)).lower()
    found = words(read)
    return Words(found, runs(read) if is_unspaced(read) else found)


def reads_alike(text: str) -> bool:
    """Whether every version reads a text, or words of one, alike."""
    return text.isascii() or is_plain(unicodedata.normalize("NFKC", text))


def lexical_features(texts: Iterable[str], version: int = WORDS) -> csr_matrix:
    """Counts of hashed words and character n-grams, ``(n, BUCKETS)``, float32.

    Args:
        texts: any number.
        version: of how words are read; see :func:`read_words`.
    """
    from scipy.sparse import csr_matrix

    parts = [part for text in texts for part in _parts(text, version)]
    counts = _hasher().transform(parts)  # two rows a text, in one call: the overhead of a call is higher than its work
    characters = np.repeat(np.arange(len(parts)) % 2, np.diff(counts.indptr))
    indices = counts.indices + WORD_BUCKETS * characters
    return csr_matrix((counts.data, indices, counts.indptr[::2]), shape=(len(parts) // 2, BUCKETS))


def named_features(text: str, version: int = WORDS) -> dict[str, int]:
    """The words, pairs of words and character n-grams of a text, and the bucket that each is counted in.

    The n-grams are in quotes, spaces included.
    """
    named: dict[str, int] = {}
    for offset, found, name in zip((0, WORD_BUCKETS), _parts(text, version), ("{}", "'{}'"), strict=True):
        parts = list(dict.fromkeys(found))
        buckets = _hasher().transform([[part] for part in parts]).indices if parts else ()
        named |= {name.format(part): offset + int(bucket) for part, bucket in zip(parts, buckets, strict=True)}
    return named


def _parts(text: str, version: int) -> tuple[list[str], list[str]]:
    """The words and pairs of words of a text, and its character n-grams."""
    read = read_words(text, version)
    return [*read.words, *map(" ".join, pairwise(read.words))], _characters()(" ".join(read.runs))


@cache
def _characters() -> Callable[[str], list[str]]:
    from sklearn.feature_extraction.text import HashingVectorizer

    analyzer: Callable[[str], list[str]] = HashingVectorizer(
        analyzer="char_wb", ngram_range=(2, 4), lowercase=False
    ).build_analyzer()
    return analyzer


@cache
def _hasher() -> FeatureHasher:
    from sklearn.feature_extraction import FeatureHasher

    return FeatureHasher(WORD_BUCKETS, input_type="string", alternate_sign=False, dtype=np.float32)
