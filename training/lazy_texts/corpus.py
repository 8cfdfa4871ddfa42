"""Documents by id and by position."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property


class Corpus(Mapping[str, str]):
    """The texts of documents by id, in their order; ids are in memory, texts wherever their sequence has them.

    Attributes:
        ids: of the documents.
        texts: of the documents, in the same order.
    """

    def __init__(self, ids: Sequence[str], texts: Sequence[str]) -> None:
        self.ids = ids
        self.texts = texts

    @classmethod
    def of(cls, documents: Mapping[str, str]) -> Corpus:
        """A mapping as it is if it is a corpus, else its ids and texts."""
        return documents if isinstance(documents, Corpus) else cls(list(documents), list(documents.values()))

    @cached_property
    def positions(self) -> dict[str, int]:
        """The position of every document by its id."""
        return {name: position for position, name in enumerate(self.ids)}

    def __getitem__(self, name: str) -> str:
        return self.texts[self.positions[name]]

    def __iter__(self) -> Iterator[str]:
        return iter(self.ids)

    def __len__(self) -> int:
        return len(self.ids)
