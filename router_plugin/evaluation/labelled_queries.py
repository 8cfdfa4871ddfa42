"""Reads labelled queries: texts, each with the route or the domain that is right for it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

from registry.paths import PathLike
from registry.shared.texts import clean
from registry.texts.forms import collapsed
from router_plugin.errors import QueryError

TEXT, DOMAIN, ROUTE = "text", "domain", "route"


class LabelledQueries(NamedTuple):
    """Queries, and the label of each; None for one that belongs to no route or domain."""

    queries: list[str]
    labels: list[str | None]


def read_labelled_queries(
    file: PathLike, column: str = ROUTE, known: Collection[str] | None = None, *, required: bool = True
) -> LabelledQueries:
    """Read the queries of a file, as :meth:`router_plugin.DomainRouter.fit` and ``evaluate`` take them.

    Args:
        file: JSONL, JSON, CSV, TSV or Parquet, plain or ``.gz``, with a column ``text`` and that of the label.
        column: of the label: ``route`` or ``domain``.
        known: the labels that are allowed; None for any.
        required: whether the file must have the column of the label.

    Raises:
        QueryError: a row is bad or has an unknown label, the column is missing, or the file holds no query.
        SourceError: the file cannot be read.
    """
    from training.tables.cells import is_empty
    from training.tables.rows import read_rows

    named = {collapsed(name): name for name in known or ()}
    queries: list[str] = []
    labels: list[str | None] = []
    columns: dict[str, None] = {}
    for row in read_rows(file):
        fields = row.fields or {}
        columns |= dict.fromkeys(map(str, fields))
        text, label = fields.get(TEXT), fields.get(column)
        if row.fault:
            raise QueryError(f"{row.place}: {row.fault}")
        if not isinstance(text, str) or is_empty(text):
            raise QueryError(f"{row.place}: no text: expected a column {TEXT!r} with a query")
        label = None if is_empty(label) else _label(label, known)
        if isinstance(label, str):
            label = named.get(collapsed(label), label)
        if label is not None and (not isinstance(label, str) or (known is not None and label not in known)):
            expected = ", ".join(known) if known else "a name"
            raise QueryError(f"{row.place}: unknown {column} {label!r}: expected {expected}, or none")
        queries.append(clean(text))
        labels.append(label)
    if not queries:
        raise QueryError(f"{file}: no query found")
    if column not in columns and required:
        raise QueryError(f"{file}: no {column} column: expected a column {column!r}, found {', '.join(columns)}")
    return LabelledQueries(queries, labels)


def _label(value: Any, known: Collection[str] | None) -> Any:
    """A label as text, by its own spelling if that is known; a number may be written in several ways."""
    from training.tables.cells import cell_text

    own = value.strip() if isinstance(value, str) else value
    return own if isinstance(own, str) and (known is None or own in known) else cell_text(value) or value
