"""Lays out judged queries as corpus, queries and qrels by id, with long texts divided into chunks."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from typing import NamedTuple, Protocol

from registry.texts.forms import text_key
from training.lazy_texts.corpus import Corpus
from training.lazy_texts.spooled import SpooledTexts
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

    @property
    def own(self) -> Sequence[str]:
        """Documents that are the query itself, in addition to those with the same text."""


class Layout(NamedTuple):
    """Documents and queries by id, with the relevant documents, judged negatives and own documents of queries.

    The texts of documents are in a temporary file, if they are many.
    """

    corpus: Corpus
    queries: dict[str, str]
    qrels: dict[str, Qrels]
    negatives: dict[str, Qrels]
    own: Qrels


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

    The chunks of a document that is the query itself are its own: they are no negatives either, and are left out where
    the query is ranked. If the data call that document relevant, it stays relevant.

    Args:
        judged: rows; the texts of rows in no split stay in the corpus.
        split: positions of the rows of each split.
        chunk_characters: longer texts are divided at sentence ends.
        merge: give texts that are the same one id, so that no relevant text counts as wrong.
        parts: the split of every row, if the source says so. Equal queries in two splits then stay separate, each with
            the judgements of its own split.
        others: further documents.
    """
    corpus = _Chunks(chunk_characters, merge)
    queries: dict[str, str] = {}
    ids: dict[tuple[str, str | None], str] = {}
    same: dict[str, list[str]] = {}
    right: dict[str, dict[str, None]] = {}
    wrong: dict[str, dict[str, None]] = {}
    asked: list[str] = []
    for number, row in enumerate(judged):
        part = parts[number] if parts else None
        query = ids.setdefault((text_key(row.text), part), f"q{number}") if merge else f"q{number}"
        queries.setdefault(query, row.text)
        right.setdefault(query, {}).update(corpus.add(f"d{number}", row.relevant))
        wrong.setdefault(query, {}).update(corpus.add(f"n{number}", row.non_relevant))
        same.setdefault(query, [row.text]).extend(row.own)
        asked.append(query)
    corpus.add_all("c", others)
    own = {query: [name for name in corpus.find(texts) if name not in right[query]] for query, texts in same.items()}
    negatives = {
        query: [name for name in names if name not in right[query] and name not in own[query]]
        for query, names in wrong.items()
    }
    return Layout(
        Corpus(corpus.ids, corpus.texts),
        queries,
        _by_part(asked, split, {query: list(names) for query, names in right.items()}),
        _by_part(asked, split, {query: names for query, names in negatives.items() if names}),
        {query: names for query, names in own.items() if names},
    )


class _Chunks:
    """Chunks by id, and by what they say."""

    def __init__(self, chunk_characters: int, merge: bool) -> None:
        self.ids: list[str] = []
        self.texts = SpooledTexts()
        self._same: dict[bytes, list[str]] = defaultdict(list)
        """The ids of chunks by their key."""
        self._divided: dict[bytes, list[str]] = defaultdict(list)
        """The ids of the chunks of longer documents, by the documents' key."""
        self._chunk_characters = chunk_characters
        self._merge = merge

    def add(self, prefix: str, texts: Iterable[str]) -> dict[str, None]:
        """The ids of the chunks of some texts; new ones are ``prefix-0``, ``prefix-1``, ..."""
        numbers = count()
        return dict.fromkeys(name for text in texts for name in self._add(prefix, text, numbers))

    def add_all(self, prefix: str, texts: Iterable[str]) -> None:
        """The same for texts of which no ids are needed."""
        numbers = count()
        for text in texts:
            self._add(prefix, text, numbers)

    def find(self, texts: Iterable[str]) -> dict[str, None]:
        """The ids of the chunks that are one of these texts, or part of a document that is."""
        keys = [_key(text) for text in texts]
        return dict.fromkeys(
            name for key in keys for known in (self._same, self._divided) for name in known.get(key, ())
        )

    def _add(self, prefix: str, text: str, numbers: Iterator[int]) -> list[str]:
        pieces = chunk(text, self._chunk_characters)
        names = []
        for piece in pieces:
            name, same = f"{prefix}-{next(numbers)}", self._same[_key(piece)]
            if self._merge and same:
                name = same[0]
            else:
                same.append(name)
                self.ids.append(name)
                self.texts.append(piece)
            names.append(name)
        if len(pieces) > 1:
            self._divided[_key(text)] += names
        return names


def _key(text: str) -> bytes:
    """A digest of what makes texts the same, which is shorter than they are."""
    return hashlib.blake2b(text_key(text).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _by_part(asked: Sequence[str], split: Split, names: Mapping[str, list[str]]) -> dict[str, Qrels]:
    parts: dict[str, Indices] = {"train": split.train, "dev": split.dev, "test": split.test}
    return {
        part: {asked[row]: names[asked[row]] for row in rows.tolist() if asked[row] in names}
        for part, rows in parts.items()
    }
