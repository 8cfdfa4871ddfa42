"""Serves the tools to the program that started this process, over its standard streams."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from typing import TYPE_CHECKING

from mcp.server.stdio import stdio_server

from router_plugin.server.mcp.protocol import server_of
from router_plugin.server.mcp.tools import Tools
from router_plugin.server.options import ServerOptions
from router_plugin.server.reporting.json_log import log_as_json
from router_plugin.server.service import Service

if TYPE_CHECKING:
    from router_plugin.router import DomainRouter


def serve_stdio(open_router: Callable[[], DomainRouter]) -> None:
    """Serve until standard input ends or a signal does it. Only the protocol is written to standard output.

    Raises:
        DomainRouterError: what is to be served cannot be opened.
    """
    log_as_json()
    with redirect_stdout(sys.stderr):
        router = open_router()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # the thread that waits for input cannot be interrupted
    asyncio.run(_serve(router))


async def _serve(router: DomainRouter) -> None:
    service = Service(router, ServerOptions(), threads=1)
    serving = asyncio.ensure_future(service.serve())
    server = server_of(Tools(service))
    try:
        async with stdio_server() as (received, sent):
            await server.run(received, sent, server.create_initialization_options())
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        await service.close()
