"""The dialect of the HTTP client of vLLM Semantic Router: a path for each method, results without an envelope."""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel

from router_plugin.server.mcp.tools import TOOLS, Tools
from router_plugin.server.reporting.answers import ErrorAnswer, documented

router = APIRouter(prefix="/mcp/vsr", tags=["MCP dialect of vLLM Semantic Router"], responses=documented(ErrorAnswer))

VERSION = "2024-11-05"
"""Of the protocol, that the client names."""


class CallParameters(BaseModel):
    """Which tool is called, and with what."""

    name: str
    arguments: dict[str, Any] | None = None


class CallRequest(BaseModel):
    """A call of a tool; the client leaves the method empty."""

    params: CallParameters


async def _tools(request: Request) -> Tools:
    tools: Tools = request.app.state.tools
    return tools


@router.post("/initialize")
async def initialize() -> dict[str, Any]:
    """What this server is."""
    return {
        "protocolVersion": VERSION,
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "domain-router", "version": version("domain-router")},
    }


@router.post("/tools/list")
async def list_tools() -> dict[str, Any]:
    """The tools."""
    return {
        "tools": [
            {"name": each.name, "description": each.description, "inputSchema": each.schema} for each in TOOLS.values()
        ]
    }


@router.post("/tools/call")
async def call_tool(asked: CallRequest, tools: Annotated[Tools, Depends(_tools)]) -> dict[str, Any]:
    """The answer of a tool, as JSON in a text."""
    found = await tools.call(asked.params.name, asked.params.arguments or {})
    return {"content": [{"type": "text", "text": json.dumps(found)}], "isError": False}


@router.post("/resources/list")
async def list_resources() -> dict[str, Any]:
    """None."""
    return {"resources": []}


@router.post("/prompts/list")
async def list_prompts() -> dict[str, Any]:
    """None."""
    return {"prompts": []}


@router.post("/ping")
async def ping() -> dict[str, Any]:
    """Nothing, which is what the client expects."""
    return {}
