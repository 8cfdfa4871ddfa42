"""Lexical features of texts: hashed counts, which are compatible across machines without a common vocabulary.

Weinberger et al., 2009, "Feature Hashing for Large Scale Multitask Learning".
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from functools import cache, lru_cache, partial
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from registry.texts.forms import visible
from registry.texts.words import is_plain, is_unspaced, runs, words

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

WORD_BUCKETS = 1 << 17
BUCKETS = 2 * WORD_BUCKETS
"""First words and pairs of words, then character 2- to 4-grams within words."""

WORDS = 2
"""How words are read. Version 1 split them at marks, and did not split scripts that are written without spaces."""

NGRAMS = (2, 3, 4)
CACHED_WORDS = 1 << 14
"""Words whose n-grams are kept, so that those of frequent words are not hashed again."""

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

    found = [counted_features(text, version) for text in texts]
    ends = np.cumsum([0, *(len(buckets) for buckets, _ in found)])
    buckets = np.concatenate([np.empty(0, dtype=np.int32), *(each for each, _ in found)])
    counts = np.concatenate([np.empty(0, dtype=np.float32), *(each for _, each in found)])
    return csr_matrix((counts, buckets, ends.astype(np.int32)), shape=(len(found), BUCKETS))


def counted_features(text: str, version: int = WORDS) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The buckets of a text's words and n-grams in ascending order, and how many of them are in each, ``(b,)`` each."""
    read = read_words(text, version)
    found = [bucket(name) for name in _words_and_pairs(read)]
    for word in " ".join(read.runs).split():
        found += _buckets_of_ngrams(word)
    if not found:
        return np.empty(0, dtype=np.int32), np.empty(0, dtype=np.float32)
    buckets = np.array(found, dtype=np.int32)
    buckets.sort()
    last = np.concatenate(([-1], np.flatnonzero(buckets[1:] != buckets[:-1]), [len(buckets) - 1]))
    return buckets[last[1:]], (last[1:] - last[:-1]).astype(np.float32)


def named_features(text: str, version: int = WORDS) -> dict[str, int]:
    """The words, pairs of words and character n-grams of a text, and the bucket that each is counted in.

    The n-grams are in quotes, spaces included.
    """
    read = read_words(text, version)
    named = {name: bucket(name) for name in _words_and_pairs(read)}
    for word in " ".join(read.runs).split():
        named |= {f"'{part}'": WORD_BUCKETS + bucket(part) for part in _ngrams(word)}
    return named


def bucket(part: str) -> int:
    """The number below :data:`WORD_BUCKETS` that a word, a pair of words or an n-gram is hashed to."""
    return abs(_hash()(part)) % WORD_BUCKETS


def _words_and_pairs(read: Words) -> list[str]:
    return [*read.words, *map(" ".join, pairwise(read.words))]


@lru_cache(CACHED_WORDS)
def _buckets_of_ngrams(word: str) -> tuple[int, ...]:
    return tuple(WORD_BUCKETS + bucket(part) for part in _ngrams(word))


def _ngrams(word: str) -> list[str]:
    """The character n-grams of a word with a space on either side; what is shorter than an n-gram is one."""
    spaced, found = f" {word} ", list[str]()
    for length in NGRAMS:
        found += [spaced[start : start + length] for start in range(max(1, len(spaced) - length + 1))]
        if length >= len(spaced):
            break
    return found


@cache
def _hash() -> Callable[[str], int]:
    from sklearn.utils import murmurhash3_32

    return partial(murmurhash3_32, seed=0)
