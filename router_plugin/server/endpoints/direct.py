"""Answers plain requests of the endpoints that are asked most, without what FastAPI does for each request.

Its routing, dependencies and parsing are two thirds of the Python of a request. Its routes stay what the OpenAPI
document describes, and answer all that is not plain.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel, ValidationError
from starlette.responses import Response

from router_plugin.server.endpoints import inference, openai, routing
from router_plugin.server.service import Service

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Endpoint(NamedTuple):
    """An endpoint that is also one of FastAPI's.

    Attributes:
        path: of its requests; POST is their method.
        body: that it takes.
        answer: called with the body and what answers.
    """

    path: str
    body: type[BaseModel]
    answer: Callable[[Any, Service], Awaitable[Response]]


ENDPOINTS = {
    each.path: each
    for each in (
        Endpoint("/v1/embeddings", openai.EmbeddingsRequest, openai.embeddings),
        Endpoint("/v1/route", routing.RouteRequest, routing.route),
        Endpoint("/classify", inference.Inputs, inference.classify),
        Endpoint("/routes/classify", inference.Inputs, inference.classify_routes),
        Endpoint("/embed", inference.Inputs, inference.embed),
    )
}
"""By path."""

_CANARY = routing.CANARY.lower().encode()


class Direct:
    """Middleware that answers what is plain, and passes on the rest: what is malformed, traced, or has more headers."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        """
        Args:
            app: FastAPI's.
            service: that answers.
        """
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request or pass it on."""
        endpoint = ENDPOINTS.get(scope["path"]) if scope["type"] == "http" else None
        if endpoint is None or not _is_plain(scope):
            await self._app(scope, receive, send)
            return
        message = await receive()  # with the whole body: see Bounds
        try:
            asked = endpoint.body.model_validate_json(message["body"])
        except ValidationError:
            await self._app(scope, _once(message, receive), send)
            return
        scope["route"] = endpoint  # for the metrics, as FastAPI does
        response = await endpoint.answer(asked, self._service)
        await response(scope, receive, send)


def _is_plain(scope: Scope) -> bool:
    """Whether there is nothing to a request but its body."""
    if scope["method"] != "POST" or "fastapi.telemetry" in scope:
        return False
    kinds = [value for name, value in scope["headers"] if name == b"content-type"]
    return kinds == [b"application/json"] and all(name != _CANARY for name, _ in scope["headers"])


def _once(message: Message, receive: Receive) -> Receive:
    """What receives a message again, and then what follows."""
    left = [message]

    async def read() -> Message:
        return left.pop() if left else await receive()

    return read
