"""Queries with documents that were judged relevant or not, as read from a source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

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
    """

    place: str
    text: str
    relevant: tuple[str, ...]
    non_relevant: tuple[str, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)


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
    """Merge queries of equal text and part; also returns how many texts were judged both ways: they are relevant."""
    found: dict[tuple[str, str | None], tuple[JudgedQuery, dict[str, None], dict[str, None]]] = {}
    for query in queries:
        _, right, wrong = found.setdefault((query.text, query.columns.get(PART)), (query, {}, {}))
        right |= dict.fromkeys(query.relevant)
        wrong |= dict.fromkeys(query.non_relevant)
    both = sum(len(right.keys() & wrong.keys()) for _, right, wrong in found.values())
    rows = [
        replace(first, relevant=tuple(right), non_relevant=tuple(text for text in wrong if text not in right))
        for first, right, wrong in found.values()
    ]
    return rows, both
