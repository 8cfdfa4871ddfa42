"""Classifier profiles: what a domain contributes to the domain classifier, stored with its model version.

A profile holds features of a sample of the domain's queries, never the queries themselves: hashed counts of character
2- to 5-grams within words, which fit together across machines and days without a shared vocabulary (Weinberger et al.,
2009, "Feature Hashing for Large Scale Multitask Learning"), and embeddings of the base model.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from registry.errors import DamagedArtifactError

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

FILE_NAME = "classifier_profile.safetensors"
BUCKETS = 1 << 18
MAX_QUERIES = 1000

_FORMAT = "1"


@dataclass(frozen=True)
class Profile:
    """Features of ``n`` queries.

    Attributes:
        lexical: counts of hashed character n-grams, ``(n, BUCKETS)``, float32.
        embeddings: unit vectors of the base model, ``(n, d)``, float32.
        base: digest of the base model's weights; embeddings of different base models do not compare.
    """

    lexical: csr_matrix
    embeddings: NDArray[np.float32]
    base: str

    @classmethod
    def from_queries(
        cls, queries: Sequence[str], embeddings: NDArray[np.float32], base: str, seed: int = 42
    ) -> Profile:
        """The profile of a domain, from at most ``MAX_QUERIES`` of its queries.

        Args:
            queries: the domain's queries.
            embeddings: their unit vectors by the base model, ``(len(queries), d)``.
            base: digest of the base model's weights.
            seed: of the sample.
        """
        sample = np.sort(np.random.default_rng(seed).permutation(len(queries))[:MAX_QUERIES])
        return cls(lexical_features(queries[index] for index in sample), np.asarray(embeddings)[sample], base)

    def save(self, folder: Path) -> None:
        """Write the profile into a model folder; embeddings in half precision."""
        from safetensors.numpy import save_file

        arrays = {
            "counts": np.minimum(self.lexical.data, np.iinfo(np.uint16).max).astype(np.uint16),
            "indices": self.lexical.indices.astype(np.int32),
            "indptr": self.lexical.indptr.astype(np.int64),
            "embeddings": self.embeddings.astype(np.float16),
        }
        save_file(arrays, folder / FILE_NAME, metadata={"format": _FORMAT, "base": self.base})
        (folder / FILE_NAME).chmod(0o644)

    @classmethod
    def load(cls, folder: Path) -> Profile:
        """Read the profile of a model folder.

        Raises:
            DamagedArtifactError: there is none, or it is not of this format.
        """
        from safetensors import SafetensorError, safe_open
        from scipy.sparse import csr_matrix

        path = folder / FILE_NAME
        try:
            with safe_open(path, framework="numpy") as file:
                metadata = file.metadata() or {}
                if metadata.get("format") != _FORMAT:
                    raise ValueError(f"its format is {metadata.get('format')}, expected {_FORMAT}")
                counts, indices, indptr, embeddings = map(
                    file.get_tensor, ("counts", "indices", "indptr", "embeddings")
                )
            lexical = csr_matrix((counts.astype(np.float32), indices, indptr), shape=(len(indptr) - 1, BUCKETS))
            lexical.check_format(full_check=True)
            base = metadata["base"]
            if not np.isfinite(embeddings).all():
                raise ValueError("it has embeddings that are no numbers")
            if embeddings.ndim != 2 or len(embeddings) != lexical.shape[0]:
                raise ValueError(f"it has {lexical.shape[0]} queries, but embeddings of shape {embeddings.shape}")
        except (OSError, SafetensorError, ValueError, KeyError) as error:
            raise DamagedArtifactError(f"{path} is no classifier profile: {error}") from error
        return cls(lexical, embeddings.astype(np.float32), base)


def lexical_features(texts: Iterable[str]) -> csr_matrix:
    """Hashed character n-gram counts of texts, ``(n, BUCKETS)``, float32."""
    return _vectorizer().transform([unicodedata.normalize("NFKC", text) for text in texts])


@cache
def _vectorizer() -> Any:
    from sklearn.feature_extraction.text import HashingVectorizer

    return HashingVectorizer(
        analyzer="char_wb",
        ngram_range=(2, 5),
        n_features=BUCKETS,
        alternate_sign=False,
        norm=None,
        dtype=np.float32,
    )
