"""Lays out judged queries as corpus, queries and qrels by id, with long texts divided into chunks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from training.prepared.chunking import chunk
from training.prepared.format import Qrels
from training.splitting.splits import Indices, Split


class Judged(Protocol):
    """A query with texts that were judged for it."""

    @property
    def text(self) -> str:
        """The query."""

    @property
    def relevant(self) -> Sequence[str]:
        """Texts that were judged relevant."""

    @property
    def non_relevant(self) -> Sequence[str]:
        """Texts that were judged not relevant."""


class Layout(NamedTuple):
    """Documents and queries by id, with the relevant documents and the judged negatives of each query."""

    corpus: dict[str, str]
    queries: dict[str, str]
    qrels: dict[str, Qrels]
    negatives: dict[str, Qrels]


def lay_out(
    judged: Sequence[Judged],
    split: Split,
    chunk_characters: int,
    *,
    merge: bool = True,
    parts: Sequence[str | None] | None = None,
    others: Iterable[str] = (),
) -> Layout:
    """Corpus, queries and qrels. Every chunk of a relevant text is relevant, and none is a negative of the query.

    Args:
        judged: rows; the texts of rows in no split stay in the corpus.
        split: positions of the rows of each split.
        chunk_characters: longer texts are divided at sentence ends.
        merge: give equal texts one id, so that no relevant text counts as wrong.
        parts: the split of every row, if the source says so. Equal queries in two splits then stay separate, each with
            the judgements of its own split.
        others: further documents.
    """
    corpus = _Corpus(chunk_characters, merge)
    queries: dict[str, str] = {}
    ids: dict[tuple[str, str | None], str] = {}
    right: dict[str, dict[str, None]] = {}
    wrong: dict[str, dict[str, None]] = {}
    asked: list[str] = []
    for number, row in enumerate(judged):
        part = parts[number] if parts else None
        query = ids.setdefault((row.text, part), f"q{number}") if merge else f"q{number}"
        queries.setdefault(query, row.text)
        right.setdefault(query, {}).update(corpus.add(f"d{number}", row.relevant))
        wrong.setdefault(query, {}).update(corpus.add(f"n{number}", row.non_relevant))
        asked.append(query)
    corpus.add("c", others)
    negatives = {query: [name for name in names if name not in right[query]] for query, names in wrong.items()}
    return Layout(
        corpus.texts,
        queries,
        _by_part(asked, split, {query: list(names) for query, names in right.items()}),
        _by_part(asked, split, {query: names for query, names in negatives.items() if names}),
    )


class _Corpus:
    """Chunks by id."""

    def __init__(self, chunk_characters: int, merge: bool) -> None:
        self.texts: dict[str, str] = {}
        self._ids: dict[str, str] = {}
        self._chunk_characters = chunk_characters
        self._merge = merge

    def add(self, prefix: str, texts: Iterable[str]) -> dict[str, None]:
        """The ids of the chunks of some texts; new ones are ``prefix-0``, ``prefix-1``, ..."""
        names: dict[str, None] = {}
        pieces = (piece for text in texts for piece in chunk(text, self._chunk_characters))
        for number, piece in enumerate(pieces):
            name = f"{prefix}-{number}"
            if self._merge:
                name = self._ids.setdefault(piece, name)
            self.texts.setdefault(name, piece)
            names[name] = None
        return names


def _by_part(asked: Sequence[str], split: Split, names: Mapping[str, list[str]]) -> dict[str, Qrels]:
    parts: dict[str, Indices] = {"train": split.train, "dev": split.dev, "test": split.test}
    return {
        part: {asked[row]: names[asked[row]] for row in rows.tolist() if asked[row] in names}
        for part, rows in parts.items()
    }
