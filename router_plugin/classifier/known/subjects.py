"""The subjects that people ask about: queries of one subject may be unlike each other, and still be of one domain.

The package has an inventory of them, in ``everyday_queries/subjects.txt``: a subject a line, its name first, and an
empty line between fields of subjects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import as_file, files

import numpy as np
from numpy.typing import NDArray

from router_plugin.classifier.known.kept import kept_vectors
from router_plugin.contracts import BaseEmbedder

_FOLDER = files("router_plugin.classifier.known").joinpath("everyday_queries")
_TEXTS, _VECTORS = "subjects.txt", "subjects.safetensors"

SAME_FIELD = np.float32(0.3)
"""The fraction of a domain's queries that may be of any subject of the fields of its known queries."""
ANY_SUBJECT = np.float32(0.1)
"""The fraction that may be of any subject at all."""

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Subject:
    """What people ask about.

    Attributes:
        phrases: its name, and what is asked.
        field: the number of its field.
    """

    phrases: tuple[str, ...]
    field: int


class Subjects:
    """An inventory of subjects, as a base model reads it.

    Attributes:
        vectors: unit vectors of their phrases, one subject after the other, ``(phrases, d)``.
    """

    def __init__(self, inventory: Sequence[Subject], vectors: Vectors) -> None:
        """
        Args:
            inventory: the subjects.
            vectors: see :attr:`vectors`.
        """
        sizes = np.array([len(each.phrases) for each in inventory])
        fields = np.array([each.field for each in inventory])
        self.vectors, self._sizes = vectors, sizes
        self._starts = np.cumsum(sizes) - sizes
        same = (fields[:, None] == fields).astype(np.float32)
        self._in_field = same / same.sum(axis=1, keepdims=True)

    def __len__(self) -> int:
        return len(self._sizes)

    def shares(self, texts: Vectors, sharpness: float) -> NDArray[np.float32]:
        """The probability of each subject, ``(n, subjects)``, where all are as likely before the text is seen.

        Args:
            texts: unit vectors, ``(n, d)``.
            sharpness: of the kernel, exp(sharpness * cosine), whose mean over the phrases of a subject is its density.
        """
        exponents = np.float32(sharpness) * texts @ self.vectors.T
        kernel = np.exp(exponents - exponents.max(axis=1, keepdims=True))
        densities = np.add.reduceat(kernel, self._starts, axis=1) / self._sizes.astype(np.float32)
        shares: NDArray[np.float32] = densities / densities.sum(axis=1, keepdims=True)
        return shares

    def phrases_of(self, chosen: NDArray[np.bool_]) -> Vectors:
        """Unit vectors of the phrases of some subjects, ``(phrases, d)``.

        Args:
            chosen: whether each subject is, ``(subjects,)``.
        """
        return self.vectors[np.repeat(chosen, self._sizes)]

    def expected(self, shares: NDArray[np.float32]) -> NDArray[np.float32]:
        """How much more often than others each subject may be expected in a domain, ``(subjects,)``; 1 on average.

        Args:
            shares: of the subjects in its known queries, ``(subjects,)``.
        """
        own = (1 - SAME_FIELD) * shares + SAME_FIELD * (shares @ self._in_field)
        expected: NDArray[np.float32] = (1 - ANY_SUBJECT) * own * len(own) + ANY_SUBJECT
        return expected


def inventory() -> list[Subject]:
    """The package's subjects."""
    found, field = list[Subject](), 0
    for line in _FOLDER.joinpath(_TEXTS).read_text(encoding="utf-8").splitlines():
        name, _, asked = line.partition(": ")
        if name:
            found.append(Subject((name, *asked.split("; ")), field))
        else:
            field += 1
    return found


def known_subjects(base: BaseEmbedder) -> Subjects:
    """The package's subjects; their vectors are the package's if it was made with the same base model."""
    from safetensors import safe_open

    known = inventory()
    with as_file(_FOLDER.joinpath(_VECTORS)) as path, safe_open(path, framework="numpy") as file:
        if file.metadata()["base"] == base.digest:
            return Subjects(known, file.get_tensor("phrases").astype(np.float32))
    return Subjects(known, kept_vectors(phrases(known), base))


def phrases(subjects: Sequence[Subject]) -> list[str]:
    """All phrases of subjects, in order."""
    return [phrase for each in subjects for phrase in each.phrases]


def rebuild(base: BaseEmbedder) -> None:
    """Embed the package's subjects again, after an edit."""
    from safetensors.numpy import save_file

    vectors = base.encode(phrases(inventory())).astype(np.float16)
    with as_file(_FOLDER.joinpath(_VECTORS)) as path:
        save_file({"phrases": vectors}, path, metadata={"base": base.digest})
        path.chmod(0o644)
