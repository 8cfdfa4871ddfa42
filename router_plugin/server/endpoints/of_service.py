"""How endpoints get at what they answer with, and what the OpenAPI document says that they need."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer

from router_plugin.server.service import Service


async def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


ServiceNow = Annotated[Service, Depends(_service)]

KEY = Security(HTTPBearer(description="Only for a server with --keys.", auto_error=False))
"""Describes the key, which :mod:`router_plugin.server.protection.access` has checked before."""
