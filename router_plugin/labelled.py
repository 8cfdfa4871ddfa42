"""Reads labelled queries: a text and the domain it is of."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from registry import GENERAL
from router_plugin.errors import QueryError

TEXT, DOMAIN = "text", "domain"


def read_labelled(file: Path, domains: Collection[str] | None = None) -> tuple[list[str], list[str]]:
    """The queries of a file and their domains, ``general`` for those of none.

    Args:
        file: JSONL, JSON, CSV, TSV or Parquet, plain or ``.gz``, with the columns ``text`` and ``domain``.
        domains: those that a query may be of; None for any.

    Raises:
        QueryError: a row is bad or names another domain, or there is no row.
        SourceError: the file cannot be read.
    """
    from training.rows import read_rows

    texts, labels = [], []
    for row in read_rows(file):
        fields = row.fields or {}
        text, domain = fields.get(TEXT), fields.get(DOMAIN) or GENERAL
        if row.fault:
            raise QueryError(f"{row.place}: {row.fault}")
        if not isinstance(text, str) or not text.strip():
            raise QueryError(f"{row.place}: no text: expected a column {TEXT!r} with a query")
        if not isinstance(domain, str) or (domains is not None and domain not in domains):
            raise QueryError(
                f"{row.place}: unknown domain {domain!r}: expected {', '.join(domains or ('a name',))}, or none"
            )
        texts.append(text)
        labels.append(domain)
    if not texts:
        raise QueryError(f"{file}: holds no query")
    return texts, labels
