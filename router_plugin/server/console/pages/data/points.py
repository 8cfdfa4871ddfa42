"""The points of a map: where they are, what is at them, and those that somebody searches."""

from __future__ import annotations

from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from router_plugin.inspection.maps import EmbeddingMap
from router_plugin.server.console.asking import read_numbers
from router_plugin.server.console.pages.data.wanted import PATH, OfMap, drawn_map, start_map
from router_plugin.server.console.rendering import page, service_of
from router_plugin.server.errors import NotFoundError
from router_plugin.server.service import Service
from router_plugin.server.traffic import kept_queries

router = APIRouter()

SHOWN = 100
"""Points in the table."""
MARKED = 5000
"""Points that are marked as found."""

Numbers = np.ndarray[Any, np.dtype[np.int64]]


@router.get(f"{PATH}/points")
def points(request: Request, wanted: OfMap) -> Response:
    """The points of a map, see :meth:`EmbeddingMap.packed`; status 202 as long as it is being made."""
    job = start_map(request, wanted)
    if not job.finished:
        return Response(status_code=202)
    return Response(drawn_map(job).packed(), media_type="application/octet-stream")


@router.get(f"{PATH}/text")
def text(request: Request, wanted: OfMap, point: int) -> Response:
    """What is at a point."""
    drawn = drawn_map(start_map(request, wanted))
    if not 0 <= point < len(drawn.texts):
        raise NotFoundError("there is no such point on this map")
    row = _rows(service_of(request), drawn, np.array([point]))[0]
    return JSONResponse({"part": row["part"], "name": row["name"], "text": row["text"][:300]})


@router.get(f"{PATH}/found")
def found(request: Request, wanted: OfMap, find: str = "", at: str = "") -> Response:
    """A table of the points with a text, or of those that are named by their numbers."""
    service, drawn = service_of(request), drawn_map(start_map(request, wanted))
    if find:
        numbers = points_with(service, drawn, find)
    else:
        given = read_numbers(at, 8)[:SHOWN]
        numbers = np.array([each for each in given if each < len(drawn.texts)], dtype=np.int64)
    return page(request, "points.html", **table_of(service, drawn, numbers))


def points_with(service: Service, drawn: EmbeddingMap, text: str) -> Numbers:
    """The numbers of the points whose text or name contains a text, in upper or lower case."""
    wanted = text.casefold()
    kept = _kept_texts(service, drawn, [each.kept for each in drawn.texts if each.kept])
    return np.array(
        [
            row
            for row, each in enumerate(drawn.texts)
            if wanted in f"{each.name}\n{kept.get(each.kept, '') if each.kept else each.text}".casefold()
        ],
        dtype=np.int64,
    )


def table_of(service: Service, drawn: EmbeddingMap, numbers: Numbers) -> dict[str, Any]:
    """What the table of points needs."""
    return {"rows": _rows(service, drawn, numbers[:SHOWN]), "total": len(numbers), "marked": numbers[:MARKED].tolist()}


def _rows(service: Service, drawn: EmbeddingMap, numbers: Numbers) -> list[dict[str, Any]]:
    """Points with what they are and all that colours say of them."""
    rows = numbers.tolist()
    kept = _kept_texts(service, drawn, [drawn.texts[row].kept for row in rows if drawn.texts[row].kept])
    found = []
    for row in rows:
        each = drawn.texts[row]
        said = kept.get(each.kept, "(deleted)") if each.kept else each.text
        error = next((of.labels[of.codes[row]] for of in drawn.colourings if of.name == "error"), "")
        found.append({"number": row, "part": each.part, "name": each.name, "text": said, "error": error,
                      "version": each.version})  # fmt: skip
    return found


def _kept_texts(service: Service, drawn: EmbeddingMap, ids: list[int]) -> dict[int, str]:
    """The texts of kept queries that have not been deleted."""
    return kept_queries.queries_with(service.traffic.file, ids) if service.traffic and ids else {}
