"""Queries with documents that were judged relevant or not, as read from a source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from registry.texts.forms import text_key
from training.tables.part_column import PART


@dataclass(frozen=True)
class JudgedQuery:
    """A query and the texts that were judged for it, white space collapsed.

    Attributes:
        place: file and line of its row.
        text: the query.
        relevant: texts that answer it, at least one.
        non_relevant: texts that were judged not to answer it.
        columns: additional columns of its row, including ``part`` if it has one.
        own: documents that are the query itself, such as one with its id, even if they have a title before its text.
    """

    place: str
    text: str
    relevant: tuple[str, ...]
    non_relevant: tuple[str, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    own: tuple[str, ...] = ()


@dataclass
class Judgements:
    """The judged queries of a source.

    Attributes:
        source: file, folder or data set.
        kind: of the source.
        queries: in order, each text once a part.
        documents: the collection that all queries share; None if each query has its own documents.
        skipped: one line for each bad row.
        counts: of what was read and what was left out, by name.
    """

    source: str
    kind: str
    queries: list[JudgedQuery]
    documents: Sequence[str] | None = None
    skipped: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)


def merged(queries: Sequence[JudgedQuery]) -> tuple[list[JudgedQuery], int]:
    """Merge queries of the same text and part; also returns how many texts were judged both ways: they are relevant.

    Of texts that are the same, the first one is kept.
    """
    found: dict[tuple[str, str | None], _Merged] = {}
    for query in queries:
        every = found.setdefault((text_key(query.text), query.columns.get(PART)), _Merged(query))
        for texts, given in ((every.right, query.relevant), (every.wrong, query.non_relevant), (every.own, query.own)):
            for text in given:
                texts.setdefault(text_key(text), text)
    both = sum(len(every.right.keys() & every.wrong.keys()) for every in found.values())
    return [every.query() for every in found.values()], both


@dataclass
class _Merged:
    """Queries that are the same, and their texts by key."""

    first: JudgedQuery
    right: dict[str, str] = field(default_factory=dict)
    wrong: dict[str, str] = field(default_factory=dict)
    own: dict[str, str] = field(default_factory=dict)

    def query(self) -> JudgedQuery:
        """One query with all their texts."""
        wrong = tuple(text for key, text in self.wrong.items() if key not in self.right)
        return replace(self.first, relevant=(*self.right.values(),), non_relevant=wrong, own=(*self.own.values(),))
