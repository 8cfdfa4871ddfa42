"""The page of a domain: versions and what they gained, aliases, the gate, and the candidate beside the champion."""

from __future__ import annotations

import hashlib
from collections import Counter
from contextlib import suppress
from typing import Annotated, Any, NamedTuple, get_args
from urllib.parse import quote

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import RedirectResponse, Response

from registry import (
    CANDIDATE,
    CHAMPION,
    ChangedError,
    GateError,
    InvalidNameError,
    Mover,
    NotPermittedError,
    NotRegisteredError,
    PolicyError,
    Registry,
    RegistryError,
)
from registry.aliasing.history import Move
from registry.aliasing.moves import LONGEST_WHY, Reason
from registry.catalog.listing import Filter
from registry.policies.policy import HeadlineMetric
from registry.store import KEY_VARIABLE
from router_plugin.errors import ServerError
from router_plugin.server.console.guard import ROOT
from router_plugin.server.console.rendering import page, service_of
from router_plugin.server.errors import RequestError, UnknownModelError
from router_plugin.server.service import Service
from router_plugin.server.versions.report import CanaryReport, read_report
from router_plugin.server.versions.timeline import Timeline, read_timeline, timeline_of_champion
from router_plugin.server.versions.trials import read_shares

router = APIRouter()

ADDRESS = f"{ROOT}/domains/{{domain}}"
MOVES = 50
"""Moves of aliases of a page."""
LOG_BYTES = 8_000_000
"""Of the log of a shadow, from its end, that are read for the page."""
MOST_PAIRS = 20
"""Pairs of routes that are shown of a shadow, and routes of a canary."""
MOST_CHARACTERS = 400
"""Of a query."""
_LARGEST = 999_999_999

Number = Annotated[int, Form(ge=1, le=_LARGEST)]
Expected = Annotated[int, Form(ge=0, le=_LARGEST)]
Text = Annotated[str, Form(max_length=2 * LONGEST_WHY)]
PageNumber = Annotated[int, Query(ge=1, le=_LARGEST)]


class Forms(NamedTuple):
    """What can be done with a domain.

    Attributes:
        champion: its number; 0 where there is none.
        promotable: the versions of the page that may become the champion, and the candidate.
        candidate: its number; 0 where there is none.
        earlier: the name of the version that a rollback restores; empty where there is none.
        guarded: the names of keys that open the champion or the candidate.
    """

    champion: int
    promotable: list[int]
    candidate: int
    earlier: str
    guarded: list[str]


@router.get(ADDRESS)
def show(
    request: Request,
    domain: str,
    page_number: Annotated[int, Query(alias="page", ge=1, le=_LARGEST)] = 1,
    moves: PageNumber = 1,
    measure: HeadlineMetric = "mrr@5",
) -> Response:
    """The page."""
    service = service_of(request)
    registry = _registry(service, domain)
    served = service.router.served_domains.champions.get(domain)
    timeline: Timeline | None = timeline_of_champion(served) if served else None
    history: list[Move] = []
    if registry:
        timeline, history = read_timeline(registry, domain, page_number), registry.history(domain)[::-1]
    return page(
        request,
        "domain.html",
        title=domain,
        domain=domain,
        address=_address(domain),
        timeline=timeline,
        forms=_forms(registry, domain, timeline) if registry and timeline else None,
        history=history[(moves - 1) * MOVES : moves * MOVES],
        moves=moves,
        move_pages=max(1, -(-len(history) // MOVES)),
        measure=measure,
        measures=get_args(HeadlineMetric),
        longest_why=LONGEST_WHY,
        **_serving(service, domain, registry),
    )


@router.get(f"{ADDRESS}/serving")
def show_serving(request: Request, domain: str, seen: str = "") -> Response:
    """What serves the domain now, and what the registry has; nothing where that has been seen."""
    service = service_of(request)
    found = _serving(service, domain, _registry(service, domain))
    if found["seen"] == seen and request.headers.get("hx-request") == "true":
        return Response(status_code=204)
    return page(request, "domain_serving.html", title=domain, domain=domain, address=_address(domain), **found)


@router.get(f"{ADDRESS}/gate")
def show_gate(request: Request, domain: str, version: Annotated[int, Query(ge=0, le=_LARGEST)] = 0) -> Response:
    """What the gate says of a version, line by line; by default of the candidate."""
    registry = _registry(service_of(request), domain)
    values: dict[str, Any] = {"name": "", "decision": None, "fault": ""}
    if registry:
        try:
            found, values["decision"] = registry.gate(f"{domain}@{version or CANDIDATE}")
            values["name"] = found.name
        except NotRegisteredError:
            values["name"] = f"{domain}@{version}" if version else ""
        except RegistryError as error:
            values["fault"] = str(error)
    return page(request, "domain_gate.html", title=f"{domain}: gate", domain=domain, address=_address(domain), **values)


@router.get(f"{ADDRESS}/comparison")
def show_comparison(request: Request, domain: str) -> Response:
    """What the candidate decided beside the champion, as canary and in the shadow."""
    service = service_of(request)
    registry = _registry(service, domain)
    shadowed = domain in service.options.shadow
    reports, fault = _reports(service, domain) if shadowed else ([], "")
    return page(
        request,
        "domain_comparison.html",
        title=f"{domain}: candidate beside champion",
        domain=domain,
        address=_address(domain),
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


@router.post(f"{ADDRESS}/promote")
def promote(
    request: Request, domain: str, version: Number, expected: Expected, why: Text = "", key: Text = ""
) -> Response:
    """Make a version the champion, if the gate lets it."""
    registry = _writable(request, domain)
    reason, mover = _reason("promote", why), _mover(request, key)
    try:
        registry.promote(f"{domain}@{version}", reason, mover=mover, replacing=expected)
    except RegistryError as error:
        return _refused(request, domain, f"{domain}@{version} was not promoted", error)
    return RedirectResponse(_address(domain), 303)


@router.post(f"{ADDRESS}/roll-back")
def roll_back(request: Request, domain: str, expected: Number, why: Text = "", key: Text = "") -> Response:
    """Make the earlier champion the champion again."""
    registry = _writable(request, domain)
    reason, mover = _reason("rollback", why), _mover(request, key)
    try:
        registry.rollback(domain, reason, mover=mover, replacing=expected)
    except RegistryError as error:
        return _refused(request, domain, f"{domain} was not rolled back", error)
    return RedirectResponse(_address(domain), 303)


def _registry(service: Service, domain: str) -> Registry | None:
    """The registry that has versions of a domain; None where it is known by what serves it alone.

    Raises:
        UnknownModelError: there is no such domain.
    """
    served = service.router.served_domains
    if isinstance(served.store, Registry):
        with suppress(InvalidNameError):
            if served.store.aliases(domain) or served.store.listed(Filter(domain=domain)):
                return served.store
    if domain not in served.names:
        raise UnknownModelError(f"there is no domain {domain!r}")
    return None


def _writable(request: Request, domain: str) -> Registry:
    registry = _registry(service_of(request), domain)
    if registry is None:
        raise RequestError(f"{domain} has no versions in a registry: nothing can be promoted")
    return registry


def _forms(registry: Registry, domain: str, timeline: Timeline) -> Forms:
    aliases = registry.aliases(domain)
    champion, candidate = aliases.get(CHAMPION, 0), aliases.get(CANDIDATE, 0)
    earlier = registry.earlier_champion(domain)
    shown = [entry.version.version for entry in timeline.entries if not entry.retired]
    promotable = dict.fromkeys([*([candidate] if candidate else []), *shown])
    promotable.pop(champion, None)
    return Forms(champion, list(promotable), candidate, earlier.name if earlier else "", _guarded(registry, domain))


def _guarded(registry: Registry, domain: str) -> list[str]:
    """The keys that open the champion or the candidate; none where the policy cannot be read, as the gate says."""
    try:
        policy = registry.policies.of(domain)
    except PolicyError:
        return []
    guards = [policy.protected.get(alias) for alias in (CHAMPION, CANDIDATE)] if policy else []
    return list(dict.fromkeys(guard.key for guard in guards if guard and guard.key))


def _serving(service: Service, domain: str, registry: Registry | None) -> dict[str, Any]:
    """What serves a domain and what the registry has, in words, and a digest of that."""
    served, champion, fault = service.champions.versions().get(domain, ""), "", service.champions.unread
    if registry:
        try:
            number = registry.aliases(domain).get(CHAMPION)
            champion = f"{domain}@{number}" if number else ""
        except RegistryError as error:
            fault = str(error)
    unloaded = service.champions.unloaded.get(champion, "")
    found = {"served": served, "champion": champion, "fault": fault, "unloaded": unloaded, "registered": bool(registry)}
    return {**found, "seen": hashlib.sha256(repr(found).encode()).hexdigest()[:16]}


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


def _reason(kind: str, why: str) -> str:
    """The reason of a form.

    Raises:
        RequestError: there is none, or the history cannot keep it.
    """
    text = why.replace("\r\n", "\n").strip()
    if not text:
        raise RequestError("give a reason: the history keeps it", "why")
    try:
        Reason(kind, text)
    except RegistryError as error:
        raise RequestError(str(error), "why") from error
    return text


def _mover(request: Request, key: str) -> Mover:
    return Mover(request.scope["state"]["session"].name, key.strip() or None)


def _refused(request: Request, domain: str, title: str, error: RegistryError) -> Response:
    """Why nothing was moved.

    Raises:
        RegistryError: it is no refusal, but the registry cannot be written.
    """
    if not isinstance(error, (GateError, ChangedError, NotPermittedError, NotRegisteredError)):
        raise error
    verdicts = error.verdicts if isinstance(error, GateError) else ()
    return page(
        request,
        "domain_refused.html",
        403 if isinstance(error, NotPermittedError) else 409,
        title=title,
        domain=domain,
        address=_address(domain),
        text="" if verdicts else str(error).partition(f": set {KEY_VARIABLE}")[0],
        verdicts=verdicts,
    )


def _address(domain: str) -> str:
    return f"{ROOT}/domains/{quote(domain, safe='')}"
