"""How endpoints get at what they answer with."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from router_plugin.server.service import Service


async def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


ServiceNow = Annotated[Service, Depends(_service)]
