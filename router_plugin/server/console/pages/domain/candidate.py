"""The candidate beside the champion: what the gate says of it, and what it decided as canary and in the shadow."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from registry import CANDIDATE, NotRegisteredError, RegistryError
from router_plugin.errors import ServerError
from router_plugin.server.console.pages.domain.place import ADDRESS, LARGEST, address_of, registry_of
from router_plugin.server.console.rendering import page, service_of
from router_plugin.server.service import Service
from router_plugin.server.versions.report import CanaryReport, read_report
from router_plugin.server.versions.trials import read_shares

router = APIRouter()

LOG_BYTES = 8_000_000
"""Of the log of a shadow, from its end, that are read for the page."""
MOST_PAIRS = 20
"""Pairs of routes that are shown of a shadow, and routes of a canary."""
MOST_CHARACTERS = 400
"""Of a query."""


@router.get(f"{ADDRESS}/gate")
def show_gate(request: Request, domain: str, version: Annotated[int, Query(ge=0, le=LARGEST)] = 0) -> Response:
    """What the gate says of a version, line by line; by default of the candidate."""
    registry = registry_of(service_of(request), domain)
    values: dict[str, Any] = {"name": "", "decision": None, "fault": ""}
    if registry:
        try:
            found, values["decision"] = registry.gate(f"{domain}@{version or CANDIDATE}")
            values["name"] = found.name
        except NotRegisteredError:
            values["name"] = f"{domain}@{version}" if version else ""
        except RegistryError as error:
            values["fault"] = str(error)
    return page(
        request, "domain_gate.html", title=f"{domain}: gate", domain=domain, address=address_of(domain), **values
    )


@router.get(f"{ADDRESS}/comparison")
def show_comparison(request: Request, domain: str) -> Response:
    """What the candidate decided beside the champion, as canary and in the shadow."""
    service = service_of(request)
    registry = registry_of(service, domain)
    shadowed = domain in service.options.shadow
    reports, fault = _reports(service, domain) if shadowed else ([], "")
    return page(
        request,
        "domain_comparison.html",
        title=f"{domain}: candidate beside champion",
        domain=domain,
        address=address_of(domain),
        fraction=read_shares(service.options.canary, service.router.domains).get(domain),
        canaries=_canaries(service, domain),
        shadowed=shadowed,
        reports=reports,
        fault=fault,
        candidate=registry.aliases(domain).get(CANDIDATE) if registry else None,
        most_pairs=MOST_PAIRS,
        most_characters=MOST_CHARACTERS,
        megabytes=LOG_BYTES // 1_000_000,
    )


def _reports(service: Service, domain: str) -> tuple[list[CanaryReport], str]:
    """What the log of the shadow says of a domain's candidates, the latest first, or why it says nothing."""
    try:
        found = read_report(service.options.shadow_log, LOG_BYTES) if service.options.shadow_log else []
    except ServerError as error:
        return [], str(error)
    return [report for report in reversed(found) if report.candidate.partition("@")[0] == domain], ""


def _canaries(service: Service, domain: str) -> dict[str, dict[str, tuple[int, int]]]:
    """For each candidate that decided in this process, decisions of the champions and of it, by route."""
    counted = service.metrics.decided()
    champions = counted.get("", Counter())
    return {
        canary: {
            route: (champions[route], routes[route])
            for route in sorted({**champions, **routes}, key=lambda name: -champions[name] - routes[name])
        }
        for canary, routes in counted.items()
        if canary.partition("@")[0] == domain
    }
