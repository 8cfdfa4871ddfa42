"""Answers with pages: the console's templates, what all of them need, and texts for people."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

from fastapi import Request
from starlette.responses import HTMLResponse, Response

from registry.pages.templates import render_html
from router_plugin.server.console import static_files
from router_plugin.server.console.guard import ROOT
from router_plugin.server.service import Service

TEMPLATES = Path(__file__).with_name("templates")


class Place(NamedTuple):
    """A page in the navigation."""

    path: str
    title: str


NAVIGATION = (
    Place(ROOT, "Overview"),
    Place(f"{ROOT}/playground", "Playground"),
    Place(f"{ROOT}/routes", "Routes"),
    Place(f"{ROOT}/drift", "Drift"),
    Place(f"{ROOT}/data", "Data"),
    Place(f"{ROOT}/runs", "Training runs"),
)
"""The pages in their order."""


class Part(NamedTuple):
    """A part of a list, where that is too long for one page.

    Attributes:
        rows: of the part.
        number: of it, from 1 on.
        of: the number of parts.
    """

    rows: Sequence[Any]
    number: int
    of: int


def part_of(rows: Sequence[Any], number: int, size: int) -> Part:
    """A part of a list; for a number that is none of its parts, the nearest one."""
    parts = max(1, math.ceil(len(rows) / size))
    number = min(max(number, 1), parts)
    return Part(rows[(number - 1) * size : number * size], number, parts)


def page(request: Request, template: str, status: int = 200, **values: Any) -> Response:
    """A page, or of a request by htmx, the part of it that the template's block ``content`` has.

    Args:
        request: that is answered.
        template: its file.
        status: of HTTP.
        values: variables of the template, which has also ``session``, ``local``, ``root``, ``here``, ``navigation``,
            ``asset(name)`` and ``ago(time)``.
    """
    html = render_html(
        TEMPLATES / template,
        session=request.scope.get("state", {}).get("session"),
        local=request.app.state.sessions.local,
        root=ROOT,
        here=request.url.path,
        navigation=NAVIGATION,
        asset=static_files.address,
        ago=ago,
        fragment=request.headers.get("hx-request") == "true" and "hx-boosted" not in request.headers,
        **values,
    )
    return HTMLResponse(html, status)


def service_of(request: Request) -> Service:
    """What the server answers with."""
    service: Service = request.app.state.service
    return service


def ago(time: datetime, now: datetime | None = None) -> str:
    """How long ago something was, in the largest unit of which there are two."""
    seconds = ((now or datetime.now(timezone.utc)) - time).total_seconds()
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= 2 * length:
            return f"{int(seconds // length)} {unit}s ago"
    return "just now" if seconds < 60 else "a minute ago"
