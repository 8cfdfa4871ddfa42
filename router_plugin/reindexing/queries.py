"""Reads queries to compare with, and what is right for some of them."""

from __future__ import annotations

from registry.paths import PathLike
from router_plugin.errors import QueryError


def read_queries(file: PathLike) -> tuple[list[str], dict[str, list[str]]]:
    """The queries of a file, and for those that are judged the ids of the right entries.

    Args:
        file: JSONL, JSON, CSV, TSV or Parquet with a column ``text``; a column ``relevant`` may hold an id, or a list.

    Raises:
        QueryError: a row has no text.
        SourceError: the file cannot be read.
    """
    from training.tables.rows import read_rows

    queries: list[str] = []
    relevant: dict[str, list[str]] = {}
    for row in read_rows(file):
        fields = row.fields or {}
        text, right = fields.get("text"), fields.get("relevant")
        if row.fault or not isinstance(text, str) or not text.strip():
            raise QueryError(f"{row.place}: {row.fault or 'no text: expected a column text with a query'}")
        queries.append(text)
        if right not in (None, "", []):
            relevant.setdefault(text, []).extend(map(str, right if isinstance(right, list) else [right]))
    return queries, relevant
