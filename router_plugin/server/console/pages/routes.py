"""The pages about all routes: a list to search, which routes are confused, and which utterances lie astray."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from router_plugin.evaluation.confusions import confusion_rows, confusions
from router_plugin.routes import Route
from router_plugin.server.console.guard import ROOT
from router_plugin.server.console.rendering import page, part_of, service_of
from router_plugin.server.editing.workshop import Workshop

router = APIRouter()

PATH = f"{ROOT}/routes"
SHOWN = 50
"""Routes of a page."""
CONFUSED = 30
"""Routes in the table of confusions."""
STRAYS = 200
"""Utterances in the table of those that lie astray."""
LONGEST = 500
"""Characters of a search."""


class RouteRow(NamedTuple):
    """A route in the list, with the first utterance that the search finds."""

    route: Route
    found: str


@router.get(PATH)
def show(
    request: Request, q: Annotated[str, Query(max_length=LONGEST)] = "", number: int = 1, removed: bool = False
) -> Response:
    """The list, or what a search finds in it."""
    state = service_of(request).router.state
    found = list(_matching(state.served.routes, q.casefold().strip()))
    return page(
        request,
        "routes.html",
        title="Routes",
        q=q,
        part=part_of(found, number, SHOWN),
        found=len(found),
        threshold=state.threshold,
        longest=LONGEST,
        removed=removed,
    )


def _matching(routes: Sequence[Route], wanted: str) -> Iterator[RouteRow]:
    """The routes in whose name or utterances a text is."""
    for route in routes:
        if not wanted or wanted in route.name.casefold():
            yield RouteRow(route, "")
        elif hit := next((text for text in route.utterances if wanted in text.casefold()), None):
            yield RouteRow(route, hit)


@router.get(f"{PATH}/confusions")
def show_confusions(request: Request) -> Response:
    """Which routes labelled queries got in place of the right ones.

    Raises:
        DomainRouterError: see :meth:`Workshop.tried`.
    """
    workshop: Workshop = request.app.state.workshop
    tried = workshop.tried() if workshop.file else None
    table = confusions(tried.labels, tried.decisions, CONFUSED) if tried else None
    rows = confusion_rows(table.routes, table.counts) if table else []
    return page(request, "confusions.html", title="Confusions", tried=tried, table=table, rows=rows)


@router.get(f"{PATH}/strays")
def show_strays(request: Request) -> Response:
    """Which utterances lie nearer to another route.

    Raises:
        OverloadedError: another request computes.
    """
    workshop: Workshop = request.app.state.workshop
    return page(request, "strays.html", title="Utterances near other routes", strays=workshop.strays(), shown=STRAYS)
