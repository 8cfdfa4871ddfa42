"""The page with a map of a domain's texts as an encoder sees them."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple
from urllib.parse import urlencode

import numpy as np
from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from registry import GENERAL
from registry.catalog.listing import Filter
from registry.progress import Progress
from router_plugin.errors import SettingsError
from router_plugin.inspection.beir import fingerprint
from router_plugin.inspection.layouts import MOST_FOR_TSNE
from router_plugin.inspection.maps import KEPT_QUERY, MOST, EmbeddingMap, MapText, draw_map, texts_for_map
from router_plugin.server.console.asking import jobs_of, listed_versions, read_numbers
from router_plugin.server.console.guard import ROOT
from router_plugin.server.console.jobs import Job
from router_plugin.server.console.rendering import page, service_of
from router_plugin.server.errors import NotFoundError, RequestError, UnknownModelError
from router_plugin.server.service import Service
from router_plugin.server.traffic import kept_queries
from router_plugin.serving.domains import ServedDomains

router = APIRouter()

PATH = f"{ROOT}/data"
BASE = "base"
"""The model that stands for the base model."""
MOST_KEPT = 10_000
"""Kept queries on a map: the newest."""
SHOWN = 100
"""Points in the table."""
MARKED = 5000
"""Points that are marked as found."""


class Wanted(NamedTuple):
    """What a map is of.

    Attributes:
        domain: whose texts.
        model: that encodes them: empty for the one that serves the domain, ``base``, or a version.
        data: name of a folder; empty for none.
        upto: id of the newest kept query that counts; 0 for none.
    """

    domain: str
    model: str = ""
    data: str = ""
    upto: int = 0


def _wanted(request: Request, domain: str, model: str = "", data: str = "", upto: int = 0) -> Wanted:
    """What the address of a map says.

    Raises:
        UnknownModelError: there is no such domain.
        RequestError: there is no such data.
    """
    if domain not in service_of(request).router.domains:
        raise UnknownModelError(f"unknown domain {domain!r}", "domain")
    if data and data not in request.app.state.folders:
        raise RequestError(f"unknown data {data!r}: expected a name of the option `data`", "data")
    return Wanted(domain, model, data, max(0, min(upto, 2**62)))


OfMap = Annotated[Wanted, Depends(_wanted)]


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
    wanted = _wanted(request, domain, model, data, upto or 0)
    if upto is None:
        newest = kept_queries.newest_id(service.traffic.file) if service.traffic else 0
        return RedirectResponse(_address("", wanted._replace(upto=newest)), 303)
    job = _start(request, wanted)
    drawn: EmbeddingMap | None = job.result
    found = _found(service, drawn, _containing(service, drawn, find)) if drawn and find else {"rows": None}
    return page(
        request,
        "data.html",
        title="Data",
        wanted=wanted,
        job=job,
        map=_described(drawn, wanted) if drawn else None,
        drawn=drawn,
        find=find,
        again=_address("", wanted._replace(upto=0)).rpartition("&")[0],
        state_path=_address("/state", wanted),
        **found,
        **_choices(request, domain),
    )


@router.get(f"{PATH}/state")
def state(request: Request, wanted: OfMap) -> Response:
    """How far a map is, for a page that waits for it."""
    job = _start(request, wanted)
    if job.finished:
        return Response(headers={"HX-Refresh": "true"})
    return page(request, "waiting.html", job=job, state_path=_address("/state", wanted))


@router.get(f"{PATH}/points")
def points(request: Request, wanted: OfMap) -> Response:
    """The points of a map, see :meth:`EmbeddingMap.packed`; status 202 as long as it is being made."""
    job = _start(request, wanted)
    if not job.finished:
        return Response(status_code=202)
    return Response(_drawn(job).packed(), media_type="application/octet-stream")


@router.get(f"{PATH}/text")
def text(request: Request, wanted: OfMap, point: int) -> Response:
    """What is at a point."""
    drawn = _drawn(_start(request, wanted))
    if not 0 <= point < len(drawn.texts):
        raise NotFoundError("there is no such point on this map")
    row = _rows(service_of(request), drawn, np.array([point]))[0]
    return JSONResponse({"part": row["part"], "name": row["name"], "text": row["text"][:300]})


@router.get(f"{PATH}/found")
def found(request: Request, wanted: OfMap, find: str = "", at: str = "") -> Response:
    """A table of the points with a text, or of those that are named by their numbers."""
    service, drawn = service_of(request), _drawn(_start(request, wanted))
    if find:
        numbers = _containing(service, drawn, find)
    else:
        given = read_numbers(at, 8)[:SHOWN]
        numbers = np.array([each for each in given if each < len(drawn.texts)], dtype=np.int64)
    return page(request, "points.html", **_found(service, drawn, numbers))


def _start(request: Request, wanted: Wanted) -> Job:
    """The job that makes a map, started if it has not been."""
    service, folder = service_of(request), request.app.state.folders.get(wanted.data)
    state = service.router.state
    try:
        content = fingerprint(folder) if folder else ""
    except SettingsError as error:
        raise NotFoundError(str(error)) from error
    model = _model(state.domains, wanted)
    key = ("map", wanted, state.domains.encoder_id(wanted.domain), content)

    def work(progress: Progress) -> EmbeddingMap:
        given = texts_for_map(state, wanted.domain, _kept(service, wanted), folder)
        domains = state.domains.with_version(state.domains.registered(model)) if model else state.domains
        try:
            return draw_map(given, domains, GENERAL if wanted.model == BASE else wanted.domain, progress)
        finally:
            if domains is not state.domains:
                domains.close()

    return jobs_of(request).start(key, work)


def _model(domains: ServedDomains, wanted: Wanted) -> str:
    """The version that has to be opened for a map; empty where what is served does.

    Raises:
        UnknownModelError: it is not one of the domain.
    """
    if wanted.model in ("", BASE, domains.version(wanted.domain)):
        return ""
    if wanted.model.partition("@")[0] != wanted.domain:
        raise UnknownModelError(f"unknown model {wanted.model!r}: expected a version of {wanted.domain}", "model")
    return wanted.model


def _kept(service: Service, wanted: Wanted) -> list[MapText]:
    if service.traffic is None or not wanted.upto:
        return []
    queries = kept_queries.find_queries(
        service.traffic.file, domain=wanted.domain, limit=MOST_KEPT, before_id=wanted.upto + 1
    )
    return [MapText(KEPT_QUERY, each.text, each.route, each.version, each.id) for each in queries]


def _drawn(job: Job) -> EmbeddingMap:
    if job.fault:
        raise NotFoundError(job.fault)
    if job.result is None:
        raise NotFoundError("this map is being made: load the page again")
    drawn: EmbeddingMap = job.result
    return drawn


def _containing(service: Service, drawn: EmbeddingMap, text: str) -> np.ndarray[Any, np.dtype[np.int64]]:
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


def _found(service: Service, drawn: EmbeddingMap, numbers: np.ndarray[Any, np.dtype[np.int64]]) -> dict[str, Any]:
    """What the table of points needs."""
    return {"rows": _rows(service, drawn, numbers[:SHOWN]), "total": len(numbers), "marked": numbers[:MARKED].tolist()}


def _rows(service: Service, drawn: EmbeddingMap, numbers: np.ndarray[Any, np.dtype[np.int64]]) -> list[dict[str, Any]]:
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


def _described(drawn: EmbeddingMap, wanted: Wanted) -> dict[str, Any]:
    """What the script needs to draw a map."""
    return {
        "points": _address("/points", wanted),
        "text": _address("/text", wanted),
        "found": _address("/found", wanted),
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


def _address(part: str, wanted: Wanted) -> str:
    return f"{PATH}{part}?{urlencode(wanted._asdict())}"
