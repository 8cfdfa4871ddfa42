"""What an operator asks: whether the server lives and is ready, what it serves, and its metrics."""

from __future__ import annotations

from importlib.metadata import version as installed_version
from typing import Literal

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel
from starlette.responses import PlainTextResponse, Response

from router_plugin.server.endpoints.of_service import KEY, ServiceNow
from router_plugin.server.protection.key_file import KeyFile
from router_plugin.server.reporting.answers import ErrorAnswer, JsonResponse, documented
from router_plugin.server.service import Service

router = APIRouter(tags=["operations"], responses=documented(ErrorAnswer))


@router.get("/health/live", response_model=dict[str, str])
async def live() -> dict[str, str]:
    """Whether the process answers."""
    return {"status": "live"}


class Readiness(BaseModel):
    """Whether models are loaded, and what an operator should look at."""

    status: Literal["ready", "loading"]
    warning: str | None


@router.get("/health/ready", response_model=Readiness, responses={503: {"model": Readiness, "description": "Loading."}})
async def ready(service: ServiceNow, request: Request) -> Response:
    """Whether models are loaded; and what of the registry or the keys could not be: what was before holds then.

    Also whether traffic cannot be counted.
    """
    status = "ready" if service.ready else "loading"
    failed = _failed(service, request.app.state.keys)
    warning = f"{' and '.join(failed)}: the server's log says why" if failed else None
    return JsonResponse({"status": status, "warning": warning}, 200 if service.ready else 503)


def _failed(service: Service, keys: KeyFile | None) -> list[str]:
    found = ["the registry cannot be read"] if service.champions.unread else []
    if service.champions.unloaded:
        found.append(f"{', '.join(service.champions.unloaded)} could not be loaded")
    if keys and keys.fault:
        found.append("changed keys could not be loaded")
    if service.traffic and service.traffic.fault:
        found.append("the file of traffic cannot be used")
    return found


@router.get("/version")
async def version() -> dict[str, str]:
    """The version of this software."""
    return {"domain-router": installed_version("domain-router")}


@router.get("/metrics", response_class=PlainTextResponse, dependencies=[KEY])
async def metrics(service: ServiceNow) -> Response:
    """Metrics for Prometheus."""
    text = service.metrics.text(service.batcher.waiting, service.router.served_domains.query_cache)
    return Response(text, media_type=CONTENT_TYPE_LATEST)
