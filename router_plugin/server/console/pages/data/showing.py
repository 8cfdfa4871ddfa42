"""The page of a map: what can be chosen, and what its script needs."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from registry.catalog.listing import Filter
from router_plugin.inspection.layouts import MOST_FOR_TSNE
from router_plugin.inspection.maps import MOST, EmbeddingMap
from router_plugin.server.console.asking import listed_versions
from router_plugin.server.console.pages.data.points import points_with, table_of
from router_plugin.server.console.pages.data.wanted import PATH, OfMap, Wanted, address_of, start_map, wanted_map
from router_plugin.server.console.rendering import page, service_of
from router_plugin.server.traffic import kept_queries

router = APIRouter()


@router.get(PATH)
def show(
    request: Request,
    domain: str = "",
    model: str = "",
    data: str = "",
    upto: int | None = None,
    find: str = "",
) -> Response:
    """The page; with the map of a domain, if one is chosen."""
    service = service_of(request)
    if not domain:
        return page(request, "data.html", title="Data", wanted=None, job=None, **_choices(request, ""))
    wanted = wanted_map(request, domain, model, data, upto or 0)
    if upto is None:
        newest = kept_queries.newest_id(service.traffic.file) if service.traffic else 0
        return RedirectResponse(address_of("", wanted._replace(upto=newest)), 303)
    job = start_map(request, wanted)
    drawn: EmbeddingMap | None = job.result
    found = table_of(service, drawn, points_with(service, drawn, find)) if drawn and find else {"rows": None}
    return page(
        request,
        "data.html",
        title="Data",
        wanted=wanted,
        job=job,
        map=_described(drawn, wanted) if drawn else None,
        drawn=drawn,
        find=find,
        again=address_of("", wanted._replace(upto=0)).rpartition("&")[0],
        state_path=address_of("/state", wanted),
        **found,
        **_choices(request, domain),
    )


@router.get(f"{PATH}/state")
def state(request: Request, wanted: OfMap) -> Response:
    """How far a map is, for a page that waits for it."""
    job = start_map(request, wanted)
    if job.finished:
        return Response(headers={"HX-Refresh": "true"})
    return page(request, "waiting.html", job=job, state_path=address_of("/state", wanted))


def _described(drawn: EmbeddingMap, wanted: Wanted) -> dict[str, Any]:
    """What the script needs to draw a map."""
    return {
        "points": address_of("/points", wanted),
        "text": address_of("/text", wanted),
        "found": address_of("/found", wanted),
        "count": len(drawn.texts),
        "colourings": [
            {"name": each.name, "labels": each.labels, "counts": each.counts()} for each in drawn.colourings
        ],
    }


def _choices(request: Request, domain: str) -> dict[str, Any]:
    """What can be chosen."""
    service = service_of(request)
    domains = service.router.served_domains
    return {
        "domains": domains.names,
        "folders": list(request.app.state.folders),
        "versions": [each.name for each in listed_versions(service, Filter(domain=domain))] if domain else [],
        "served_by": domains.version(domain) if domain else "",
        "keeps": bool(service.traffic and service.options.keep_queries),
        "most": MOST,
        "most_for_tsne": MOST_FOR_TSNE,
    }
