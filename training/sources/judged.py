"""Queries with documents that were judged relevant or not, as a source has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from training.sources.part_column import PART


@dataclass(frozen=True)
class JudgedQuery:
    """A query and what was judged for it, white space collapsed.

    Attributes:
        place: of its row.
        text: the query.
        relevant: texts that answer it; one at least.
        non_relevant: texts that were judged not to.
        columns: other columns of its row, ``part`` among them where it has one.
    """

    place: str
    text: str
    relevant: tuple[str, ...]
    non_relevant: tuple[str, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Judgements:
    """What a source held.

    Attributes:
        source: file, folder or data set.
        kind: of the source.
        queries: in order; no two of one part have the same text.
        documents: all documents of a collection that queries share; None where each query brings its own.
        skipped: one line for each bad row.
        counts: of what was read and what was set aside, by name.
    """

    source: str
    kind: str
    queries: list[JudgedQuery]
    documents: Sequence[str] | None = None
    skipped: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)


def merged(queries: Sequence[JudgedQuery]) -> tuple[list[JudgedQuery], int]:
    """Queries of equal text and part as one, and how many texts were judged both ways, which count as relevant."""
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
