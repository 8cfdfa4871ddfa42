"""The first page: what an operator should look at, the domains, and the traffic of the last hour, day or month."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any, Literal, NamedTuple

from fastapi import APIRouter, Request
from starlette.responses import Response

from registry import CANDIDATE, ModelVersion
from registry.catalog.listing import Filter
from registry.records import ComparisonRecord
from router_plugin.errors import ServerError
from router_plugin.server.console.alarms import alarms, traffic_alarms
from router_plugin.server.console.asking import listed_versions
from router_plugin.server.console.guard import ROOT
from router_plugin.server.console.rendering import page, service_of
from router_plugin.server.errors import NotServingError
from router_plugin.server.traffic.reading import Latency, Series, latency, refusals, series, stage_latency
from router_plugin.server.traffic.traffic_file import DAY, HOUR, MINUTE, TrafficFile

router = APIRouter()

MEASURE = "mrr@5"
"""The metric whose gain is shown."""

Span = Literal["hour", "day", "month"]
_SPANS: dict[Span, tuple[int, int]] = {"hour": (HOUR, MINUTE), "day": (DAY, 10 * MINUTE), "month": (30 * DAY, 6 * HOUR)}
"""Seconds of each span, and of a step of its charts."""


class DomainRow(NamedTuple):
    """A domain on the page.

    Attributes:
        domain: its name.
        model: what serves it.
        published: when that was registered; None for a domain that the base model serves.
        gain: on the domain's own test split; None where it was not measured.
        candidate: under test; empty where there is none.
    """

    domain: str
    model: str
    published: datetime | None
    gain: ComparisonRecord | None
    candidate: str


@router.get(ROOT)
def show(request: Request, span: Span = "hour") -> Response:
    """The page."""
    service = service_of(request)
    candidates = {each.domain: each.name for each in listed_versions(service, Filter(alias=CANDIDATE))}
    found = alarms(service)
    served = service.router.served_domains
    rows = [_row(served.champions.get(name), name, served.version(name), candidates) for name in served.names]
    traffic: Traffic | None = None
    if service.traffic:
        try:
            traffic = _traffic(service.traffic.file, span)
            found += traffic_alarms(service.traffic.file, service.options)
        except ServerError as error:
            found.append(f"Traffic cannot be read: {error}")
    shown: dict[str, Any] = {
        "domains": rows,
        "alarms": found,
        "measure": MEASURE,
        "traffic": traffic,
        "counts": service.traffic is not None,
        "span": span,
        "spans": _SPANS,
    }
    return page(request, "overview.html", title="Overview", **shown)


@router.get(f"{ROOT}/traffic")
def show_traffic(request: Request, span: Span = "hour") -> Response:
    """The part of the page about traffic, as it is now.

    Raises:
        NotServingError: it is not counted.
    """
    recorder = service_of(request).traffic
    if recorder is None:
        raise NotServingError("this server does not count its traffic")
    traffic = _traffic(recorder.file, span)
    return page(request, "traffic.html", title="Traffic", traffic=traffic, span=span, spans=_SPANS)


class Traffic(NamedTuple):
    """What came in a span of time.

    Attributes:
        decisions: number of them.
        refused: requests that were refused or failed.
        charts: by title, for the console's script.
        totals: by title, of each name that a chart shows.
        latencies: of requests by path, and of the stages of decisions.
    """

    decisions: int
    refused: int
    charts: dict[str, dict[str, Any]]
    totals: dict[str, dict[str, int]]
    latencies: dict[str, dict[str, Latency]]


def _traffic(file: TrafficFile, span: Span) -> Traffic:
    length, step = _SPANS[span]
    until = time.time() + MINUTE
    since = until - length
    by_domain = series(file, since, until, step, "domain")
    found = {
        "Decisions by domain": by_domain,
        "Decisions by route": series(file, since, until, step, "route"),
        "Refused and failed requests by status": refusals(file, since, until, step),
    }
    totals = {title: _totals(each) for title, each in found.items()}
    decisions, _, refused = (sum(each.values()) for each in totals.values())
    charts = {title: _chart(each) for title, each in found.items()}
    charts["Mean confidence by domain"] = _confidence(by_domain)
    times = {"requests": latency(file, since, until), "stages of decisions": stage_latency(file, since, until)}
    return Traffic(decisions, refused, charts, totals, times)


def _chart(found: Series) -> dict[str, Any]:
    rows = [{"label": name, "values": values} for name, values in found.rows.items()]
    others = [{"label": "all others", "values": found.others}] if any(found.others) else []
    return {"x": found.times, "series": rows + others, "unit": f"in {found.step_s // MINUTE} min"}


def _confidence(found: Series) -> dict[str, Any]:
    rows = [{"label": name, "values": values} for name, values in found.confidence.items()]
    return {"x": found.times, "series": rows, "unit": "probability"}


def _totals(found: Series) -> dict[str, int]:
    others = {"all others": sum(found.others)} if any(found.others) else {}
    return {**{name: sum(values) for name, values in found.rows.items()}, **others}


def _row(champion: ModelVersion | None, domain: str, model: str, candidates: dict[str, str]) -> DomainRow:
    if champion is None:
        return DomainRow(domain, model, None, None, "")
    gain = champion.comparison.get(MEASURE)
    return DomainRow(domain, model, champion.created, gain, candidates.get(domain, ""))
