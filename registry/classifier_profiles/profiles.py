"""Classifier profiles: what a domain contributes to the domain classifier, stored with its model version.

A profile holds features of a sample of the domain's queries, vectors of a sample of the sentences of its documents, and
the words that several queries have in common, but never the texts themselves.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import pydantic
from numpy.typing import NDArray

from registry.classifier_profiles.compact import pack_counts, pack_vectors, unpack_counts, unpack_vectors
from registry.classifier_profiles.features import BUCKETS, WORDS, lexical_features, read_words, reads_alike
from registry.classifier_profiles.sentences import sample_sentences
from registry.classifier_profiles.typos import misspell
from registry.errors import DamagedArtifactError, OutputError
from registry.paths import PathLike, local_path
from registry.texts.forms import text_key
from registry.texts.words import is_unspaced

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

FILE_NAME = "classifier_profile.safetensors"
MAX_QUERIES = 1500
MAX_MISSPELT = 150
MAX_WORDS = 20_000

FORMAT = "5"
_FORMAT_WITH_PLAIN_ARRAYS = "4"
_FORMAT_WITHOUT_DOCUMENTS = "3"
_FORMAT_WITHOUT_WORDS = "2"
"""The format before that, in which words were read by version 1."""
_FORMATS = (FORMAT, _FORMAT_WITH_PLAIN_ARRAYS, _FORMAT_WITHOUT_DOCUMENTS, _FORMAT_WITHOUT_WORDS)
_METADATA = "metadata"
"""The array with all metadata but the format, as JSON: safetensors itself writes several in an order of chance."""
_METADATA_TYPE = pydantic.TypeAdapter(dict[str, str])
_VECTORS = ("embeddings", "misspelt.embeddings", "documents")

_Arrays = Mapping[str, NDArray[np.generic]]


def _no_vectors() -> NDArray[np.float32]:
    return np.zeros((0, 0), dtype=np.float32)


@dataclass(frozen=True)
class Profile:
    """Features of ``n`` queries, in random order.

    Attributes:
        lexical: counts of hashed words and character n-grams, ``(n, BUCKETS)``, float32.
        embeddings: unit vectors of the base model, ``(n, d)``, float32.
        misspelt: counts of the same queries with typing errors, ``(n, BUCKETS)``, float32.
        misspelt_embeddings: unit vectors of the first of the misspelt queries, ``(at most MAX_MISSPELT, d)``, float32.
        vocabulary: the words that occur in at least two of all the domain's queries, by descending frequency.
        base: digest of the base model's weights; embeddings of different base models cannot be compared.
        words: version by which the words of the queries were read; see
            :func:`registry.classifier_profiles.features.read_words`.
        any_words: whether every version reads these queries alike.
        documents: unit vectors of the base model of sentences of the domain's documents, ``(m, d)``, float32; without
            rows where there are none.
    """

    lexical: csr_matrix
    embeddings: NDArray[np.float32]
    misspelt: csr_matrix
    misspelt_embeddings: NDArray[np.float32]
    vocabulary: tuple[str, ...]
    base: str
    words: int = WORDS
    any_words: bool = False
    documents: NDArray[np.float32] = field(default_factory=_no_vectors)

    @classmethod
    def from_queries(
        cls,
        queries: Sequence[str],
        encode: Callable[[Sequence[str]], NDArray[np.float32]],
        base: str,
        seed: int = 42,
        embeddings: NDArray[np.float32] | None = None,
        documents: Iterable[str] = (),
    ) -> Profile:
        """The profile of a domain, from at most ``MAX_QUERIES`` of its queries, each once.

        Args:
            queries: the domain's queries, at least one.
            encode: the base model, texts to unit vectors.
            base: digest of the base model's weights.
            seed: of the sample.
            embeddings: unit vectors of the queries, ``(len(queries), d)``; by default they are computed.
            documents: what the domain's texts say; any number, of which a sample of sentences is taken.
        """
        different = np.array(_first_of_each(queries), dtype=np.int64)
        sample = different[np.random.default_rng(seed).permutation(len(different))[:MAX_QUERIES]]
        chosen = [queries[index] for index in sample]
        draw = random.Random(seed)
        misspelt = [misspell(query, draw) for query in chosen]
        sentences = sample_sentences(documents, seed)
        return cls(
            lexical_features(chosen),
            encode(chosen) if embeddings is None else np.asarray(embeddings)[sample],
            lexical_features(misspelt),
            encode(misspelt[:MAX_MISSPELT]),
            _shared_words(queries[index] for index in different),
            base,
            any_words=all(map(reads_alike, (*chosen, *misspelt))),
            documents=encode(sentences) if sentences else _no_vectors(),
        )

    def take(self, rows: NDArray[np.int64]) -> Profile:
        """The profile of some of the queries only.

        Args:
            rows: in ascending order.
        """
        embedded = rows[rows < len(self.misspelt_embeddings)]
        return replace(
            self,
            lexical=self.lexical[rows],
            embeddings=self.embeddings[rows],
            misspelt=self.misspelt[rows],
            misspelt_embeddings=self.misspelt_embeddings[embedded],
        )

    def with_queries(self, queries: Sequence[str], embeddings: NDArray[np.float32]) -> Profile:
        """The profile with more queries, behind those whose misspelt embeddings are known; none is there twice.

        Args:
            queries: of the same domain.
            embeddings: their unit vectors by the same base model, ``(len(queries), d)``.
        """
        version = WORDS if self.any_words else self.words
        features = lexical_features(queries, version)
        known = {row.tobytes() for row in _buckets_of_each(self.lexical)}
        rows = [row for row, found in enumerate(_buckets_of_each(features)) if found.tobytes() not in known]
        draw = random.Random(0)
        misspelt = [misspell(queries[row], draw) for row in rows]
        place = len(self.misspelt_embeddings)
        return replace(
            self,
            lexical=_inserted(self.lexical, features[rows], place),
            embeddings=np.insert(self.embeddings, place, embeddings[rows], axis=0),
            misspelt=_inserted(self.misspelt, lexical_features(misspelt, version), place),
            vocabulary=tuple(dict.fromkeys((*self.vocabulary, *_shared_words(queries)))),
            words=version,
            any_words=self.any_words and all(map(reads_alike, (*queries, *misspelt))),
        )

    def save(self, folder: PathLike) -> None:
        """Write the profile into a model folder, its vectors rounded.

        A profile that was loaded from a file of this format is written as that file again.

        Raises:
            OutputError: its queries have more features than a profile may hold.
        """
        from safetensors.numpy import save_file

        path = local_path(folder) / FILE_NAME
        vectors = self._vectors()
        buckets = np.union1d(self.lexical.nonzero()[1], self.misspelt.nonzero()[1])
        try:
            arrays = {
                **{f"lexical.{name}": array for name, array in pack_counts(self.lexical, self.misspelt).items()},
                **{name: pack_vectors(array) for name, array in vectors.items()},
                "vocabulary": np.frombuffer("\n".join(self.vocabulary).encode(), dtype=np.uint8),
            }
        except ValueError as error:
            raise OutputError(f"{path} cannot be written: {error}") from error
        metadata = {
            "base": self.base,
            "words": str(self.words),
            "any_words": "yes" if self.any_words else "no",
            "buckets": str(len(buckets)),
            "dimension": str(self.embeddings.shape[1]),
            **{f"{name}.count": str(len(array)) for name, array in vectors.items()},
        }
        arrays[_METADATA] = np.frombuffer(json.dumps(metadata).encode(), dtype=np.uint8)
        save_file(arrays, path, metadata={"format": FORMAT})
        path.chmod(0o644)

    @classmethod
    def load(cls, folder: PathLike) -> Profile:
        """Read the profile of a model folder.

        Raises:
            DamagedArtifactError: it is missing, damaged, or of another format.
        """
        from safetensors import SafetensorError, safe_open

        path = local_path(folder) / FILE_NAME
        try:
            with safe_open(path, framework="numpy") as file:
                metadata = file.metadata() or {}
                if metadata.get("format") not in _FORMATS:
                    raise ValueError(
                        f"its format is {metadata.get('format')}, expected {FORMAT}: train the model again"
                    )
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            if metadata["format"] == FORMAT:
                metadata |= _METADATA_TYPE.validate_json(arrays[_METADATA].tobytes())
            vocabulary = arrays["vocabulary"].tobytes().decode()
            read, any_words = _reading(metadata, vocabulary)
            counts, vectors = (_compact if metadata["format"] == FORMAT else _plain)(arrays, metadata)
            profile = cls(
                counts[0],
                vectors["embeddings"],
                counts[1],
                vectors["misspelt.embeddings"],
                tuple(filter(None, vocabulary.split("\n"))),
                metadata["base"],
                read,
                any_words,
                vectors["documents"],
            )
            profile._check()
        except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
            raise DamagedArtifactError(f"{path} is not a classifier profile: {error}") from error
        return profile

    def _vectors(self) -> dict[str, NDArray[np.float32]]:
        """All vectors, by the names of their arrays in a file."""
        return dict(zip(_VECTORS, (self.embeddings, self.misspelt_embeddings, self.documents), strict=True))

    def _check(self) -> None:
        """Make sure that its parts fit each other; else a ValueError says which do not."""
        count = self.lexical.shape[0]
        if self.misspelt.shape[0] != count:
            raise ValueError(f"it has {count} queries, but {self.misspelt.shape[0]} misspelt ones")
        for vectors, expected in ((self.embeddings, count), (self.misspelt_embeddings, min(count, MAX_MISSPELT))):
            if vectors.ndim != 2 or vectors.shape != (expected, self.embeddings.shape[1]):
                raise ValueError(f"it has {expected} queries, but embeddings of shape {vectors.shape}")
        if self.documents.ndim != 2 or (len(self.documents) and self.documents.shape[1] != self.embeddings.shape[1]):
            raise ValueError(f"it has documents of shape {self.documents.shape}")
        if not all(np.isfinite(vectors).all() for vectors in self._vectors().values()):
            raise ValueError("it has embeddings that are not finite")


def _reading(metadata: Mapping[str, str], vocabulary: str) -> tuple[int, bool]:
    """The version by which words were read, and whether every version reads them alike.

    Profiles of the earlier format do not say it: there it is judged by the words that queries have in common.
    """
    if metadata["format"] == _FORMAT_WITHOUT_WORDS:
        return 1, bool(vocabulary) and reads_alike(vocabulary)
    version = int(metadata["words"])
    if version not in (1, WORDS):
        raise ValueError(f"its words are read by version {version}, expected at most {WORDS}: install a later release")
    return version, metadata["any_words"] == "yes"


def _first_of_each(queries: Sequence[str]) -> list[int]:
    """The positions of the queries without those that repeat an earlier one."""
    first: dict[str, int] = {}
    for position, query in enumerate(queries):
        first.setdefault(text_key(query), position)
    return list(first.values())


def _shared_words(queries: Iterable[str]) -> tuple[str, ...]:
    read = (set(read_words(query).words) for query in queries)
    counts = Counter(word for found in read for word in found if not is_unspaced(word))
    shared = sorted((-count, word) for word, count in counts.items() if count > 1)
    return tuple(word for _, word in shared[:MAX_WORDS])


def _buckets_of_each(counts: csr_matrix) -> list[NDArray[np.int32]]:
    return np.split(counts.indices.astype(np.int32), counts.indptr[1:-1])


def _inserted(counts: csr_matrix, rows: csr_matrix, place: int) -> csr_matrix:
    """Counts with more rows before one of theirs."""
    from scipy.sparse import vstack

    return vstack([counts[:place], rows, counts[place:]], format="csr")


_Content = tuple[tuple["csr_matrix", "csr_matrix"], dict[str, NDArray[np.float32]]]
"""Counts of the queries, those of the misspelt ones, and vectors by the names of their arrays."""


def _compact(arrays: _Arrays, metadata: Mapping[str, str]) -> _Content:
    """Counts and vectors as they are written now; no array may be larger than it declares."""
    declared = {name: int(metadata[f"{name}.count"]) for name in _VECTORS}
    packed = {name: arrays[f"lexical.{name}"] for name in ("sizes", "buckets", "rows", "counts")}
    counts = unpack_counts(packed, declared["embeddings"], int(metadata["buckets"]))
    dimension = int(metadata["dimension"])
    return counts, {name: unpack_vectors(arrays[name], count, dimension) for name, count in declared.items()}


def _plain(arrays: _Arrays, metadata: Mapping[str, str]) -> _Content:
    """Counts and vectors of the formats before, in which nothing was compressed."""
    if metadata["format"] != _FORMAT_WITH_PLAIN_ARRAYS:
        arrays = {**arrays, "documents": _no_vectors()}
    counts = _matrix(arrays, "lexical"), _matrix(arrays, "misspelt")
    return counts, {name: arrays[name].astype(np.float32) for name in _VECTORS}


def _matrix(arrays: _Arrays, name: str) -> csr_matrix:
    from scipy.sparse import csr_matrix

    counts, indices, indptr = (arrays[f"{name}.{part}"] for part in ("counts", "indices", "indptr"))
    matrix = csr_matrix((counts.astype(np.float32), indices, indptr), shape=(len(indptr) - 1, BUCKETS))
    matrix.check_format(full_check=True)
    return matrix
