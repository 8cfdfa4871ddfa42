"""The first page: the domains, who serves them and what that gained, and what an operator should look at."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from fastapi import APIRouter, Request
from starlette.responses import Response

from registry import CANDIDATE, ModelVersion, Registry, RegistryError
from registry.catalog.listing import Filter
from registry.records import ComparisonRecord
from router_plugin.server.console.guard import ROOT
from router_plugin.server.console.rendering import page, service_of
from router_plugin.server.service import Service

router = APIRouter()

MEASURE = "mrr@5"
"""The metric whose gain is shown."""


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
def show(request: Request) -> Response:
    """The page."""
    service = service_of(request)
    candidates, alarms = _candidates(service), _alarms(service)
    served = service.router.served_domains
    rows = [_row(served.champions.get(name), name, served.version(name), candidates) for name in served.names]
    return page(request, "overview.html", title="Overview", domains=rows, alarms=alarms, measure=MEASURE)


def _row(champion: ModelVersion | None, domain: str, model: str, candidates: dict[str, str]) -> DomainRow:
    if champion is None:
        return DomainRow(domain, model, None, None, "")
    gain = champion.comparison.get(MEASURE)
    return DomainRow(domain, model, champion.created, gain, candidates.get(domain, ""))


def _candidates(service: Service) -> dict[str, str]:
    """The name of each domain's candidate; none where the registry cannot be read, of which there is an alarm."""
    store = service.router.served_domains.store
    if not isinstance(store, Registry):
        return {}
    try:
        return {each.domain: each.name for each in store.listed(Filter(alias=CANDIDATE))}
    except RegistryError:
        return {}


def _alarms(service: Service) -> list[str]:
    """What an operator should look at, in words."""
    champions = service.champions
    found = (
        [f"The registry cannot be read, so the earlier versions serve: {champions.unread}"] if champions.unread else []
    )
    found += [f"{name} is not served: {why}" for name, why in champions.unloaded.items()]
    return found if service.ready else ["The models are not loaded yet.", *found]
