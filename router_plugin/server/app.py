"""Puts the server together: endpoints, their bounds, access, metrics and log."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, nullcontext
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match, Route

from registry import DomainRouterError
from router_plugin.hosts.server_routes import add_server_routes
from router_plugin.server.console.app import WithConsole, create_console
from router_plugin.server.endpoints import inference, openai, operations, routing, systemone
from router_plugin.server.endpoints.direct import Direct
from router_plugin.server.endpoints.of_service import KEY
from router_plugin.server.mcp import dialect
from router_plugin.server.mcp.tools import Tools
from router_plugin.server.options import ServerOptions
from router_plugin.server.protection.access import AccessControl
from router_plugin.server.protection.bounds import Bounds
from router_plugin.server.protection.key_file import KeyFile
from router_plugin.server.reporting.answers import MCP_PATH, error_response
from router_plugin.server.runs import endpoints as runs
from router_plugin.server.service import Service

if TYPE_CHECKING:
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

NO_TRAFFIC = ("/console", "/health", "/metrics")
"""Beginnings of paths on which operators ask, which are not counted as traffic."""

log = logging.getLogger("router_plugin.server.requests")


def create_app(service: Service, keys: KeyFile | None = None, ports: Mapping[int, str] | None = None) -> ASGIApp:
    """The server's application.

    Args:
        service: that answers.
        keys: of clients; None where none are needed.
        ports: of other listeners, with what is put in front of the paths of their requests.

    Raises:
        PluginError: a plugin failed to add its routes.
    """
    tools, options = Tools(service), service.options
    standard = _standard(tools, options, guarded=keys is not None)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        tasks = [asyncio.ensure_future(service.serve())]
        if keys:
            tasks.append(asyncio.ensure_future(keys.follow(options.reload_s)))
        async with standard.run() if standard else nullcontext():
            yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await service.close()

    app = FastAPI(
        title="domain-router",
        version=version("domain-router"),
        summary="Routes queries with one embedding model per domain.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"auto_configure": True, "logs": False},  # its logs would have the texts of malformed requests
    )
    app.state.service, app.state.tools, app.state.keys = service, tools, keys
    app.add_middleware(Direct, service=service)
    for kind in (DomainRouterError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, _failed)
    for each in (openai, inference, routing, systemone, dialect, runs):  # what is asked most, first
        app.include_router(each.router, dependencies=[KEY])
    app.include_router(operations.router)
    if standard:
        app.router.routes.append(NamedRoute(MCP_PATH, standard.asgi_app, methods=["POST"]))
    add_server_routes(app, service.router, service.router.served_domains.plugins)
    bounded = Bounds(app, options.max_body_kb * 1000, options.timeout_s, service.batcher.admit)
    api = AccessControl(bounded, keys)
    return Reported(WithConsole(create_console(service, keys), api) if options.console else api, service, ports or {})


def _standard(tools: Tools, options: ServerOptions, *, guarded: bool) -> StreamableHTTPSessionManager | None:
    """What answers the Model Context Protocol; None where its library is not installed."""
    if find_spec("mcp") is None:
        return None
    from router_plugin.server.mcp.protocol import http_endpoint

    return http_endpoint(tools, options, guarded=guarded)


class NamedRoute(Route):
    """A route to another application, which leaves its path for the metrics as FastAPI's routes do."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether it is for a connection, and what is added to that."""
        match, found = super().matches(scope)
        return match, {**found, "route": self}


async def _failed(request: Request, error: Exception) -> Response:
    return error_response(error, request.url.path)


class Reported:
    """Answers what fails before the endpoints, and counts and logs every request."""

    def __init__(self, app: ASGIApp, service: Service, ports: Mapping[int, str]) -> None:
        """See :func:`create_app`."""
        self._app, self._service, self._ports = app, service, ports

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 499  # nginx's for a client that left
        prefix = self._ports.get((scope.get("server") or ("", 0))[1] or 0)
        if prefix:
            scope = {**scope, "path": prefix + scope["path"], "raw_path": None}

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, answer)
        except Exception as error:  # noqa: BLE001  everything is answered
            if status == 499:
                await error_response(error, scope["path"])(scope, receive, answer)
        self._report(scope, status, time.perf_counter() - started)

    def _report(self, scope: Scope, status: int, seconds: float) -> None:
        route = scope.get("route")
        path = getattr(route, "path", "other")
        metrics = self._service.metrics
        metrics.requests.labels(path, str(status)).inc()
        metrics.request_seconds.labels(path).observe(seconds)
        if (traffic := self._service.traffic) and not scope["path"].startswith(NO_TRAFFIC):
            traffic.count_request(path, status, seconds)
        if log.isEnabledFor(logging.INFO):
            key = scope.get("key")
            known = {"path": scope["path"], "status": status, "ms": round(seconds * 1000, 1)}
            log.info("request", extra={"fields": {**known, "key": key.name if key else None}})
