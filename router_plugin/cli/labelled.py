"""Reads labelled queries, a text and the domain or the route it is of, and what is made of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from registry import GENERAL
from registry.names import check_domain
from router_plugin.classifier.unmodelled_domains import UnmodelledDomain, load_domains
from router_plugin.errors import QueryError
from router_plugin.routes import load_routes
from router_plugin.serving.texts import clean

if TYPE_CHECKING:
    from training.sources.column_filter import HoldOut
    from training.sources.labels import Labels

TEXT, DOMAIN, ROUTE = "text", "domain", "route"
YAML = (".yaml", ".yml")


def read_labelled(file: Path, domains: Collection[str] | None = None) -> tuple[list[str], list[str]]:
    """The queries of a file and their domains, ``general`` for those of none; see :func:`read_labels`."""
    queries, labels = read_labels(file, DOMAIN, domains)
    return queries, [label or GENERAL for label in labels]


def read_labels(
    file: Path, column: str, known: Collection[str] | None = None, *, optional: bool = False
) -> tuple[list[str], list[str | None]]:
    """The queries of a file and the labels that a column gives them, None for those without.

    Args:
        file: JSONL, JSON, CSV, TSV or Parquet, plain or ``.gz``, with the columns ``text`` and ``column``.
        column: the name of the labels, which error messages tell too.
        known: the labels that a query may have; None for any.
        optional: whether the file may do without the column.

    Raises:
        QueryError: a row is bad or has another label, no row has the column, or there is no row.
        SourceError: the file cannot be read.
    """
    from training.sources.rows import read_rows

    texts, labels = [], []
    columns: dict[str, None] = {}
    for row in read_rows(file):
        fields = row.fields or {}
        columns |= dict.fromkeys(map(str, fields))
        text, label = fields.get(TEXT), fields.get(column) or None
        if row.fault:
            raise QueryError(f"{row.place}: {row.fault}")
        if not isinstance(text, str) or not text.strip():
            raise QueryError(f"{row.place}: no text: expected a column {TEXT!r} with a query")
        if label is not None and (not isinstance(label, str) or (known is not None and label not in known)):
            raise QueryError(
                f"{row.place}: unknown {column} {label!r}: expected {', '.join(known or ('a name',))}, or none"
            )
        texts.append(clean(text))
        labels.append(label)
    if not texts:
        raise QueryError(f"{file}: holds no query")
    if column not in columns and not optional:
        raise QueryError(f"{file}: no {column} column: expected a column {column!r}, found {', '.join(columns)}")
    return texts, labels


def read_domains(file: Path | None) -> list[UnmodelledDomain]:
    """The domains of a YAML file, or of labelled queries, where rows of no domain do not count; none of no file.

    Raises:
        DomainRouterError: the file cannot be read, or something in it is wrong.
    """
    if file is None or file.suffix.lower() in YAML:
        return load_domains(file) if file else []
    queries: dict[str, list[str]] = defaultdict(list)
    for text, domain in zip(*read_labelled(file), strict=True):
        if domain != GENERAL:
            queries[domain].append(text)
    return [UnmodelledDomain(name=check_domain(name), queries=tuple(texts)) for name, texts in queries.items()]


def read_route_labels(source: str, *, where: HoldOut | None = None, skip_bad: bool = False) -> Labels:
    """The utterances of a routes file as texts whose label is their route, with the columns ``route`` and ``domain``.

    Args:
        source: a routes file.
        where: only utterances of these routes or domains; a route of no domain, or of several, has no such column.
        skip_bad: count utterances of two routes instead of stopping at the first.

    Raises:
        RoutesError: the file cannot be read, or something in it is wrong.
        SourceError: an utterance stands under two routes, or ``where`` names none.
    """
    from training.sources.labels import Labelled, collect
    from training.sources.reading import BadRows

    rows = [
        Labelled(
            f"{source}, route {route.name!r}, utterance {number}",
            " ".join(utterance.split()),
            route.name,
            {ROUTE: route.name} | ({DOMAIN: route.domain} if isinstance(route.domain, str) else {}),
        )
        for route in load_routes(Path(source))
        for number, utterance in enumerate(route.utterances, 1)
    ]
    return collect(source, rows, BadRows(skip_bad), where)
