"""Whether a base model can read the texts that it is to be trained on."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from registry.model_folders.input_config import Kind
from registry.model_folders.tokenizer import tokens_of
from training.errors import TrainingError
from training.prepared.format import PreparedData

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

log = logging.getLogger(__name__)

WARN_FROM = 0.05
"""Fraction of the words that a model cannot read, from which there is a warning."""
STOP_FROM = 0.5
"""The same, from which nothing is trained unless that was asked for."""
SAMPLE = 1000
"""Queries, and documents, of each set that are looked at."""


class _Texts(NamedTuple):
    """Texts of one set, in words, with the fraction of each that the model cannot read."""

    what: str
    texts: Sequence[str]
    unread: Sequence[float]

    @property
    def mean(self) -> float:
        return sum(self.unread) / len(self.unread)

    def describe(self, name: str) -> str:
        """How much the model reads, with the text of which it reads least."""
        worst = max(range(len(self.texts)), key=self.unread.__getitem__)
        return (
            f"base model {name} cannot read {self.mean:.0%} of the words of the {self.what}, which its tokenizer does "
            f"not know, such as {self.texts[worst]!r:.80}"
        )


def check_readable(
    model: SentenceTransformer, name: str, sets: Mapping[str, PreparedData], allow_unreadable: bool = False
) -> None:
    """Warn of texts that a base model cannot read, and stop where that is most of them.

    Args:
        model: the base model. A tokenizer that is not a fast one cannot be asked, and is trusted.
        name: of the model.
        sets: that it is trained on, by name; a single set needs no name.
        allow_unreadable: warn only.

    Raises:
        TrainingError: it cannot read most of the queries or documents of a set.
    """
    for set_name, data in sets.items():
        for found in _looked_at(model, set_name, data):
            if found.mean >= STOP_FROM and not allow_unreadable:
                raise TrainingError(
                    f"{found.describe(name)}: to such a model, different texts are the same: choose a base model for "
                    "the language of the data with `base_model`, or set `allow_unreadable`"
                )
            if found.mean >= WARN_FROM:
                log.warning("%s", found.describe(name))


def _looked_at(model: SentenceTransformer, name: str, data: PreparedData) -> Iterator[_Texts]:
    kinds: tuple[tuple[Kind, str, Sequence[str]], ...] = (
        ("query", "queries", list(data.queries.values())),
        ("document", "documents", data.documents.texts),
    )
    for kind, what, texts in kinds:
        tokens = tokens_of(model, kind)
        sample = list(texts[:: -(-len(texts) // SAMPLE) or 1])
        if tokens is not None and sample:
            of = f" of the set {name}" if name else ""
            yield _Texts(what + of, sample, [tokens.read(text).unread for text in sample])
