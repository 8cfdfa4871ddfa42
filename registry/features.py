"""Lexical features of texts: hashed counts that fit together across machines and days without a shared vocabulary.

Weinberger et al., 2009, "Feature Hashing for Large Scale Multitask Learning".
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

WORD_BUCKETS = 1 << 17
BUCKETS = 2 * WORD_BUCKETS
"""Words and pairs of words come first, then character 2- to 4-grams within words."""

_WORD = re.compile(r"\w+")


def normalised(text: str) -> str:
    """The text in lower case, equivalent characters alike."""
    return unicodedata.normalize("NFKC", text).lower()


def words(text: str) -> list[str]:
    """The words of a normalised text."""
    return _WORD.findall(text)


def lexical_features(texts: Iterable[str]) -> csr_matrix:
    """Counts of hashed words and character n-grams, ``(n, BUCKETS)``, float32."""
    read = [normalised(text) for text in texts]
    by_words, by_characters = _vectorizers()
    spelt = (" ".join(words(text)) for text in read)
    return _side_by_side(by_words.transform(read), by_characters.transform(spelt))


def _side_by_side(left: csr_matrix, right: csr_matrix) -> csr_matrix:
    """The rows of two matrices joined, as by ``scipy.sparse.hstack`` but with less overhead for a single row."""
    from scipy.sparse import csr_matrix

    rows = np.arange(left.shape[0])
    row = np.concatenate([np.repeat(rows, np.diff(part.indptr)) for part in (left, right)])
    order = np.argsort(row, kind="stable")
    indices = np.concatenate([left.indices, right.indices + left.shape[1]])[order]
    data = np.concatenate([left.data, right.data])[order]
    return csr_matrix((data, indices, left.indptr + right.indptr), shape=(len(rows), left.shape[1] + right.shape[1]))


def named_features(text: str) -> dict[str, int]:
    """The words, pairs of words and character n-grams of a text, and the bucket that each is counted in.

    The n-grams are in quotes, spaces included.
    """
    from sklearn.feature_extraction import FeatureHasher

    read = normalised(text)
    by_words, by_characters = _vectorizers()
    hasher = FeatureHasher(WORD_BUCKETS, input_type="string", alternate_sign=False)
    named: dict[str, int] = {}
    for offset, vectorizer, spelt, name in (
        (0, by_words, read, "{}"),
        (WORD_BUCKETS, by_characters, " ".join(words(read)), "'{}'"),
    ):
        parts = list(dict.fromkeys(vectorizer.build_analyzer()(spelt)))
        buckets = hasher.transform([[part] for part in parts]).indices if parts else ()
        named |= {name.format(part): offset + int(bucket) for part, bucket in zip(parts, buckets, strict=True)}
    return named


@cache
def _vectorizers() -> tuple[Any, Any]:
    from sklearn.feature_extraction.text import HashingVectorizer

    common = {
        "n_features": WORD_BUCKETS,
        "alternate_sign": False,
        "norm": None,
        "dtype": np.float32,
        "lowercase": False,
    }
    return (
        HashingVectorizer(analyzer="word", token_pattern=_WORD.pattern, ngram_range=(1, 2), **common),
        HashingVectorizer(analyzer="char_wb", ngram_range=(2, 4), **common),
    )
