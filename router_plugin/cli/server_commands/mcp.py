"""``domain-router mcp``: serves a router to an agent, over standard streams."""

from __future__ import annotations

from functools import partial

import typer

from router_plugin.cli.model_options import with_fields
from router_plugin.cli.opening import check_installed
from router_plugin.cli.options import (
    PartsOptions,
    SettingsOptions,
    check_settings,
)

EXAMPLE = "Example: domain-router mcp --registry quickstart/registry --routes examples/routes.yaml"


@with_fields
def mcp(
    context: typer.Context,
    *,
    parts: PartsOptions,
    settings: SettingsOptions,
) -> None:
    """Serve a router as tools of an agent: it starts this command (Model Context Protocol over stdio)."""
    check_settings(context)
    check_installed("mcp", "mcp", "fastapi", "orjson", "prometheus_client")
    from router_plugin.server.mcp.stdio import serve_stdio

    serve_stdio(partial(parts.router, settings))
