"""The page: what serves the domain, what its versions gained, its history, and forms to move its aliases."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, NamedTuple, get_args

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from registry import CANDIDATE, CHAMPION, PolicyError, Registry, RegistryError
from registry.aliasing.history import Move
from registry.aliasing.moves import LONGEST_WHY
from registry.policies.policy import HeadlineMetric
from router_plugin.server.console.pages.domain.place import ADDRESS, LARGEST, address_of, registry_of
from router_plugin.server.console.rendering import page, part_of, service_of
from router_plugin.server.service import Service
from router_plugin.server.versions.timeline import Timeline, read_timeline, timeline_of_champion

router = APIRouter()

MOVES = 50
"""Moves of aliases of a page."""

PageNumber = Annotated[int, Query(ge=1, le=LARGEST)]


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
    page_number: Annotated[int, Query(alias="page", ge=1, le=LARGEST)] = 1,
    moves: PageNumber = 1,
    measure: HeadlineMetric = "mrr@5",
) -> Response:
    """The page."""
    service = service_of(request)
    registry = registry_of(service, domain)
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
        address=address_of(domain),
        timeline=timeline,
        forms=_forms(registry, domain, timeline) if registry and timeline else None,
        history=part_of(history, moves, MOVES),
        measure=measure,
        measures=get_args(HeadlineMetric),
        longest_why=LONGEST_WHY,
        **_serving(service, domain, registry),
    )


@router.get(f"{ADDRESS}/serving")
def show_serving(request: Request, domain: str, seen: str = "") -> Response:
    """What serves the domain now, and what the registry has; nothing where that has been seen."""
    service = service_of(request)
    found = _serving(service, domain, registry_of(service, domain))
    if found["seen"] == seen and request.headers.get("hx-request") == "true":
        return Response(status_code=204)
    return page(request, "domain_serving.html", title=domain, domain=domain, address=address_of(domain), **found)


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
