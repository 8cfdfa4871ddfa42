"""The page about kept queries: how they drift away from the domains, and clusters of those that no domain claims."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

import numpy as np
from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response

from registry import GENERAL, InvalidNameError
from registry.names import check_domain
from registry.progress import Progress
from router_plugin.improving.new_domains import NewDomain
from router_plugin.inspection import drift
from router_plugin.inspection.incoming import NEWEST, Incoming, look_at
from router_plugin.inspection.starting import Step, archive, steps
from router_plugin.server.console.asking import jobs_of, read_numbers
from router_plugin.server.console.guard import ROOT
from router_plugin.server.console.jobs import Job
from router_plugin.server.console.rendering import page, service_of
from router_plugin.server.errors import RequestError
from router_plugin.server.service import Service
from router_plugin.server.traffic import kept_queries
from router_plugin.server.traffic.kept_queries import KeptQuery
from router_plugin.server.traffic.traffic_file import TrafficFile

router = APIRouter()

PATH = f"{ROOT}/drift"
KEY = "drift"
FRESH_S = 60
"""Seconds after which a page has new figures made."""
EXAMPLES = 5
"""Queries of a cluster that are shown."""


class Cluster(NamedTuple):
    """A cluster on the page.

    Attributes:
        domain: that it may become.
        ids: of its kept queries.
        steps: to go on with it.
    """

    domain: NewDomain
    ids: str
    steps: list[Step]


class Looked(NamedTuple):
    """What a job makes.

    Attributes:
        incoming: what was found.
        clusters: for the page.
        ids: of the queries that it was made of.
    """

    incoming: Incoming
    clusters: list[Cluster]
    ids: list[int]


@router.get(PATH)
def show(request: Request, deleted: int | None = None) -> Response:
    """The page."""
    service = service_of(request)
    file = _file(service)
    kept = kept_queries.count_queries(file) if file else 0
    job = _job(request, file, again=False) if file and kept else None
    domains = service.router.domains
    return page(
        request, "drift.html", title="Drift", kept=kept, deleted=deleted, served=domains, **_found(service, job)
    )


@router.get(f"{PATH}/state")
def state(request: Request) -> Response:
    """How far the figures are, for a page that waits for them."""
    service = service_of(request)
    job = jobs_of(request).find(KEY)
    if job is None or job.finished:
        return Response(headers={"HX-Refresh": "true"})
    return page(request, "waiting.html", **_found(service, job))


@router.post(PATH)
def again(request: Request) -> Response:
    """Make the figures anew."""
    if file := _file(service_of(request)):
        _job(request, file, again=True)
    return RedirectResponse(PATH, 303)


@router.post(f"{PATH}/start")
def start(
    request: Request, name: Annotated[str, Form()], ids: Annotated[str, Form()], terms: Annotated[str, Form()] = ""
) -> Response:
    """The files of the start of a domain, as an archive.

    Raises:
        RequestError: no domain can have this name, or one has it, or none of the queries is kept any more.
    """
    service = service_of(request)
    domains = service.router.served_domains
    try:
        check_domain(name)
    except InvalidNameError as error:
        raise RequestError(str(error), "name") from error
    if name in domains.names:
        raise RequestError(f"there is a domain {name!r} already: choose another name", "name")
    queries = _kept_texts(service, ids)
    vectors = np.stack(domains.embed([(GENERAL, text) for text in queries]))
    packed = archive(NewDomain(name, [" ".join(each.split()) for each in terms.split("\n") if each], queries), vectors)
    headers = {"Content-Disposition": f'attachment; filename="{name}.zip"'}
    return Response(packed, media_type="application/zip", headers=headers)


@router.get(f"{PATH}/delete")
def confirm(request: Request, what: str, text: str = "", domain: str = "") -> Response:
    """The question whether queries are to be deleted.

    Raises:
        RequestError: it is not said which.
    """
    file = _existing(service_of(request))
    which = _which(what, text, domain)
    number = kept_queries.count_queries(file, **which)
    examples = kept_queries.find_queries(file, limit=EXAMPLES, **which)
    wanted: dict[str, Any] = {"what": what, "text": text, "domain": domain, "number": number, "examples": examples}
    return page(request, "delete_queries.html", title="Delete queries", **wanted)


@router.post(f"{PATH}/delete")
def delete(
    request: Request,
    what: Annotated[str, Form()],
    text: Annotated[str, Form()] = "",
    domain: Annotated[str, Form()] = "",
) -> Response:
    """Delete kept queries for good, and what was made of them.

    Raises:
        RequestError: it is not said which.
    """
    file = _existing(service_of(request))
    _which(what, text, domain)
    remove: dict[str, Callable[[], int]] = {
        "containing": lambda: kept_queries.delete_containing(file, text),
        "domain": lambda: kept_queries.delete_of_domain(file, domain),
        "all": lambda: kept_queries.delete_all(file),
    }
    number = remove[what]()
    jobs_of(request).forget()
    return RedirectResponse(f"{PATH}?deleted={number}", 303)


def _which(what: str, text: str, domain: str) -> dict[str, Any]:
    """What finds the queries that somebody means."""
    if what == "containing" and text:
        return {"containing": text}
    if what == "domain" and domain:
        return {"domain": domain}
    if what == "all":
        return {}
    raise RequestError("say which queries are to be deleted: those with a text, those of a domain, or all", "what")


def _found(service: Service, job: Job | None) -> dict[str, Any]:
    """What the page says about a job."""
    looked = (job.result or job.before) if job else None
    return {
        "job": job,
        "looked": looked,
        "state_path": f"{PATH}/state",
        "keeps": bool(service.traffic and service.options.keep_queries),
        "days": service.options.keep_queries,
        "newest": NEWEST,
        "limits": drift,
        "examples": EXAMPLES,
    }


def _job(request: Request, file: TrafficFile, again: bool) -> Job:
    """The job that makes the figures; a new one if it is wanted, or the last one ended a while ago."""
    router = service_of(request).router

    def work(progress: Progress) -> Looked:
        queries = kept_queries.find_queries(file, limit=NEWEST)
        incoming = look_at(router.state, [each.text for each in queries], progress)
        return Looked(incoming, _clusters(incoming, queries), [each.id for each in queries])

    known = jobs_of(request).find(KEY)
    if known and _outlived(file, known.result or known.before):
        jobs_of(request).forget()
    old = known is not None and known.finished > 0 and known.age > FRESH_S
    return jobs_of(request).start(KEY, work, again or old)


def _outlived(file: TrafficFile, looked: Looked | None) -> bool:
    """Whether queries were deleted since they were looked at: by another process, or as they were too old."""
    return looked is not None and len(kept_queries.queries_with(file, looked.ids)) < len(looked.ids)


def _clusters(incoming: Incoming, queries: list[KeptQuery]) -> list[Cluster]:
    ids = {each.text: each.id for each in reversed(queries)}
    found = []
    for domain in incoming.clusters:
        numbers = ",".join(str(ids[text]) for text in domain.queries)
        found.append(Cluster(domain, numbers, steps(domain.name, labelled=True)))
    return found


def _kept_texts(service: Service, ids: str) -> list[str]:
    numbers = read_numbers(ids, 18)
    known = kept_queries.queries_with(_existing(service), numbers[:NEWEST])
    found = list(dict.fromkeys(known[number] for number in numbers if number in known))
    if not found:
        raise RequestError("none of these queries is kept any more: compute the clusters again")
    return found


def _file(service: Service) -> TrafficFile | None:
    return service.traffic.file if service.traffic else None


def _existing(service: Service) -> TrafficFile:
    file = _file(service)
    if file is None:
        raise RequestError("this server keeps no queries")
    return file
