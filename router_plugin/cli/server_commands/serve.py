"""``domain-router serve``: serves a router over HTTP."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from router_plugin.cli.model_options import fields_of, with_fields
from router_plugin.cli.opening import check_installed
from router_plugin.cli.options import (
    PartsOptions,
    SettingsOptions,
    check_settings,
)
from router_plugin.server.options import ServerOptions

EXAMPLE = "Example: domain-router serve --registry quickstart/registry --routes examples/routes.yaml"


@with_fields
def serve(
    context: typer.Context,
    *,
    parts: PartsOptions,
    options: Annotated[ServerOptions, fields_of(ServerOptions)],
    listen: Annotated[
        list[str],
        typer.Option(
            metavar="NAME=[HOST]:PORT",
            help="Another address, for clients that cannot choose a path: classify-domains or classify-routes answers "
            "/classify there. Repeatable.",
        ),
    ] = [],  # noqa: B006
    settings: SettingsOptions,
) -> None:
    """Serve a router over HTTP: for OpenAI clients and the routers that people run."""
    check_settings(context)
    listeners = dict(_address(each, options.host) for each in listen)
    check_installed("server", "fastapi", "orjson", "prometheus_client", "uvicorn")
    from router_plugin.server.running import serve as run

    run(partial(parts.router, settings), options, listeners, parts.routes)


def _address(text: str, default: str) -> tuple[str, tuple[str, int]]:
    """The name, host and port of a listener."""
    from router_plugin.server.running import LISTENERS

    name, _, address = text.partition("=")
    host, _, port = address.rpartition(":")
    if name not in LISTENERS or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise typer.BadParameter(f"`listen` {text!r}: expected {' or '.join(LISTENERS)}, as in classify-routes=:8701")
    return name, (host.strip("[]") or default, int(port))
