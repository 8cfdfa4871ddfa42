"""The kind of source ``routes``: the utterances of a routes file as texts that are labelled with their route."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from registry.paths import PathLike
from registry.texts.forms import collapsed
from router_plugin.routes import load_routes

if TYPE_CHECKING:
    from training import ColumnFilter, Labels, ReadOptions, SourceKind

ROUTE, DOMAIN = "route", "domain"


def routes_kind() -> SourceKind:
    """The kind as :func:`training.prepare_source` takes it."""
    from training.sources.kinds import SourceKind

    return SourceKind(
        name="routes",
        holds="the utterances of a routes file",
        read=read_routes,
        content="labels",
        options=("where",),
        hub=False,
    )


def read_routes(source: PathLike, options: ReadOptions, *, where: ColumnFilter | None = None) -> Labels:
    """Read the utterances of a routes file, with the columns ``route`` and ``domain``.

    Args:
        source: a routes file.
        options: for reading.
        where: read only the utterances that match. A route without a domain, or of several, has no column ``domain``.

    Raises:
        RoutesError: the file cannot be read, or something in it is wrong.
        SourceError: two routes have the same utterance, or no route matches.
    """
    from training.sources.labels import Labelled, collect
    from training.tables.reading import BadRows

    source = os.fspath(source)
    rows = [
        Labelled(
            f"{source}, route {route.name!r}, utterance {number}",
            collapsed(utterance),
            collapsed(route.name),
            {ROUTE: route.name} | ({DOMAIN: route.domain} if isinstance(route.domain, str) else {}),
        )
        for route in load_routes(source)
        for number, utterance in enumerate(route.utterances, 1)
    ]
    return collect(source, rows, BadRows(options.skip_bad), where)
