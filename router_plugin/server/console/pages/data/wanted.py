"""What a map is of, and the job that makes it."""

from __future__ import annotations

from typing import Annotated, NamedTuple
from urllib.parse import urlencode

from fastapi import Depends, Request

from registry import GENERAL
from registry.progress import Progress
from router_plugin.errors import SettingsError
from router_plugin.inspection.beir import fingerprint
from router_plugin.inspection.maps import KEPT_QUERY, EmbeddingMap, MapText, draw_map, texts_for_map
from router_plugin.server.console.asking import jobs_of
from router_plugin.server.console.guard import ROOT
from router_plugin.server.console.jobs import Job
from router_plugin.server.console.rendering import service_of
from router_plugin.server.errors import NotFoundError, RequestError, UnknownModelError
from router_plugin.server.service import Service
from router_plugin.server.traffic import kept_queries
from router_plugin.serving.domains import ServedDomains

PATH = f"{ROOT}/data"
BASE = "base"
"""The model that stands for the base model."""
MOST_KEPT = 10_000
"""Kept queries on a map: the newest."""


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


def wanted_map(request: Request, domain: str, model: str = "", data: str = "", upto: int = 0) -> Wanted:
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


OfMap = Annotated[Wanted, Depends(wanted_map)]


def start_map(request: Request, wanted: Wanted) -> Job:
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


def drawn_map(job: Job) -> EmbeddingMap:
    """The map that a job made.

    Raises:
        NotFoundError: it made none, or has not yet.
    """
    if job.fault:
        raise NotFoundError(job.fault)
    if job.result is None:
        raise NotFoundError("this map is being made: load the page again")
    drawn: EmbeddingMap = job.result
    return drawn


def address_of(part: str, wanted: Wanted) -> str:
    """The address of a map, or of a part of it."""
    return f"{PATH}{part}?{urlencode(wanted._asdict())}"


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
