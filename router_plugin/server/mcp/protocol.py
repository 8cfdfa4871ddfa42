"""The tools by the standard's own library: a server for any transport, and its endpoint for HTTP."""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import mcp_types as types
from mcp.server.lowlevel.server import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from mcp.shared.exceptions import MCPError
from mcp_types.version import OLDEST_SUPPORTED_VERSION

from router_plugin.server.errors import UnknownToolError
from router_plugin.server.mcp.tools import TOOLS, Tools
from router_plugin.server.options import ServerOptions
from router_plugin.server.reporting.answers import described

if TYPE_CHECKING:
    from mcp.server.context import CallNext, HandlerResult, ServerRequestContext

_LOCAL = ("127.0.0.1", "localhost", "[::1]")

_HINTS = types.ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)


def server_of(tools: Tools) -> Server[Any]:
    """A server of these tools."""

    async def list_tools(*_: object) -> types.ListToolsResult:
        return types.ListToolsResult(
            tools=[
                types.Tool(name=each.name, description=each.description, input_schema=each.schema, annotations=_HINTS)
                for each in TOOLS.values()
            ]
        )

    async def call_tool(_: object, asked: types.CallToolRequestParams) -> types.CallToolResult:
        try:
            found = await tools.call(asked.name, asked.arguments or {})
        except UnknownToolError as error:
            raise MCPError(types.INVALID_PARAMS, str(error)) from None
        except Exception as error:  # noqa: BLE001  told to the model that called
            return types.CallToolResult(content=[_text(described(error, asked.name))], is_error=True)
        return types.CallToolResult(content=[_text(json.dumps(found))], structured_content=found)

    server: Server[Any] = Server(
        "domain-router", version=version("domain-router"), on_list_tools=list_tools, on_call_tool=call_tool
    )
    server.middleware.append(_agree_on_a_version)
    return server


def http_endpoint(tools: Tools, options: ServerOptions, *, guarded: bool) -> StreamableHTTPSessionManager:
    """The server of these tools over HTTP, in which each request is answered by itself, with JSON.

    There are no sessions, so any of several processes may answer, and no streams, so every request has an end.

    Args:
        tools: that answer.
        options: of the server.
        guarded: whether clients need a key. Where they do not, the headers ``Host`` and ``Origin`` must name this
            machine, so that no page of another site gets here through a browser, whatever name it gives this machine.
    """
    hosts = [f"{host}{port}" for host in {*_LOCAL, _in_url(options.host)} for port in ("", ":*")]
    security = TransportSecuritySettings(
        enable_dns_rebinding_protection=not guarded,
        allowed_hosts=hosts,
        allowed_origins=[f"{scheme}://{host}" for scheme in ("http", "https") for host in hosts],
    )
    return StreamableHTTPSessionManager(
        server_of(tools),
        json_response=True,
        stateless=True,
        security_settings=security,
        max_request_body_size=options.max_body_kb * 1000,
    )


async def _agree_on_a_version(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Answer a client that names no version of the protocol with the oldest, which every client knows.

    The library would answer with the latest, at which clients by mcp-go 0.42 give up.
    """
    found = await call_next(ctx)
    if ctx.method == "initialize" and isinstance(found, dict) and not (ctx.params or {}).get("protocolVersion"):
        return {**found, "protocolVersion": OLDEST_SUPPORTED_VERSION}
    return found


def _text(text: str) -> types.TextContent:
    return types.TextContent(text=text)


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
