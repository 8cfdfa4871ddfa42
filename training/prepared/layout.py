"""Queries and the texts judged for them as corpus, queries and qrels by id, long texts cut into chunks."""

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
        """What answers it."""

    @property
    def non_relevant(self) -> Sequence[str]:
        """What was judged not to."""


class Layout(NamedTuple):
    """Documents and queries by id, which are relevant to each other, and which were judged not to be."""

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
    """Every chunk of a relevant text is relevant; no chunk of it is a negative of the query.

    Args:
        judged: rows; those in no part stay in the corpus.
        split: positions of the rows of each part.
        chunk_characters: longer texts are cut on sentence ends.
        merge: equal texts have one id, so that no right answer is wrong.
        parts: that the source itself has every row in, if it does. Then equal queries of two parts are two, each with
            what was judged in its own part.
        others: more documents.
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
