"""Puts the console together: its pages, and what stands before them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.responses import Response

from registry import DomainRouterError
from router_plugin.errors import ServerError
from router_plugin.inspection.beir import read_folders
from router_plugin.server.console import static_files
from router_plugin.server.console.guard import ROOT, Answer, Guard
from router_plugin.server.console.jobs import Jobs
from router_plugin.server.console.pages import (
    drift,
    editing,
    overview,
    playground,
    routes,
    runs,
    signing_in,
)
from router_plugin.server.console.pages.data import points
from router_plugin.server.console.pages.data import showing as data
from router_plugin.server.console.pages.domain import candidate, moving, showing
from router_plugin.server.console.rendering import page
from router_plugin.server.console.sessions import Sessions
from router_plugin.server.editing.workshop import Workshop
from router_plugin.server.errors import RequestError
from router_plugin.server.protection.bounds import Bounds
from router_plugin.server.protection.key_file import KeyFile
from router_plugin.server.reporting.answers import read_error
from router_plugin.server.service import Service
from router_plugin.server.versions.others import OtherVersions

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

PAGES = (
    overview,
    showing,
    candidate,
    moving,
    playground,
    routes,
    editing,
    drift,
    data,
    points,
    runs,
    signing_in,
    static_files,
)


def create_console(service: Service, keys: KeyFile | None) -> ASGIApp:
    """The console's application, which answers the paths under ``/console``.

    Args:
        service: of the server.
        keys: of clients; None where none are needed.

    Raises:
        SettingsError: a folder of the option ``data`` cannot be used.
        ServerError: the file of the option ``traffic`` cannot.
    """
    unseen: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}  # pages' addresses have queries
    app = FastAPI(openapi_url=None, redirect_slashes=False, telemetry=unseen)
    app.state.service, app.state.jobs = service, Jobs()
    app.state.sessions = Sessions(keys, service.traffic.file if service.traffic else None)
    app.state.folders = read_folders(service.options.data)
    app.state.others = OtherVersions(service.router)
    app.state.workshop = Workshop(service.router, service.options.labelled)
    for kind in (DomainRouterError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, _failed)
    for module in PAGES:
        app.include_router(module.router)
    options = service.options
    bounded = Bounds(Guard(app, app.state.sessions), options.max_body_kb * 1000, options.timeout_s, _always)
    return _RefusedByPage(bounded, app)


class WithConsole:
    """Answers what is under ``/console`` with the console, and the rest with the API."""

    def __init__(self, console: ASGIApp, api: ASGIApp) -> None:
        """See :func:`create_console`."""
        self._console, self._api = console, api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request."""
        mine = scope["type"] == "http" and (scope["path"] == ROOT or scope["path"].startswith(f"{ROOT}/"))
        await (self._console if mine else self._api)(scope, receive, send)


class _RefusedByPage:
    """Answers with a page what is refused before the console sees it."""

    def __init__(self, guarded: ASGIApp, console: FastAPI) -> None:
        self._guarded, self._console = guarded, console

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._guarded(scope, receive, send)
        except (RequestError, ServerError) as error:
            asked = Request({**scope, "app": self._console, "headers": []})  # which may be what is wrong
            answer = await _failed(asked, error)
            await answer(scope, receive, Answer(send, scope))


def _always() -> None:
    """An operator is let in however much the models have to do."""


async def _failed(request: Request, error: Exception) -> Response:
    status, _, text, _, _ = read_error(error, request.url.path)
    return page(request, "error.html", status, title="This did not work", text=text)
