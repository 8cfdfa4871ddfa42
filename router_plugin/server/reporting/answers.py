"""Errors as the contracts of the endpoints have them, and what is sent as JSON."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import quote

import orjson
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from registry import DomainRouterError
from router_plugin.errors import CandidateIndexError, ClosedError, QueryError
from router_plugin.server.errors import RequestError
from router_plugin.server.reporting.json_log import OF_A_REQUEST

log = logging.getLogger(__name__)

TEI_PATHS = ("/classify", "/embed", "/routes/classify")
"""Paths with the contract of text-embeddings-inference."""

MCP_PATH = "/mcp"
"""The path with the contract of the Model Context Protocol; those that are not named here have OpenAI's."""

VERSIONS = "X-Domain-Router-Versions"
"""The header of :func:`naming`."""

_INVALID_REQUEST, _INTERNAL_ERROR = -32600, -32603
"""Codes of JSON-RPC."""


STATUSES = {
    400: "The request is malformed.",
    401: "There is no key, or an unknown one.",
    403: "The key does not allow this.",
    404: "Unknown model.",
    413: "The body is too large.",
    422: "Too many texts or characters, or a value out of range.",
    429: "Too much work waits, or the key was used too often; see Retry-After.",
    500: "A fault of the server.",
    503: "This server does not serve this, or not now.",
    504: "The request took too long.",
}


class Fault(BaseModel):
    """What is wrong."""

    message: str
    type: Literal["invalid_request_error", "server_error"]
    param: str | None = Field(description="The parameter that is wrong.")
    code: str


class ErrorAnswer(BaseModel):
    """An error as OpenAI has it."""

    error: Fault


class TeiErrorAnswer(BaseModel):
    """An error as text-embeddings-inference has it."""

    error: str
    error_type: Literal["Validation", "Overloaded", "Backend"]


def documented(model: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    """The errors of endpoints for the OpenAPI document."""
    return {status: {"model": model, "description": text} for status, text in STATUSES.items()}


class JsonResponse(Response):
    """JSON; arrays of numpy are lists."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The bytes of the body."""
        return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)


def naming(versions: Mapping[str, str]) -> dict[str, str]:
    """The header that names the models by which an answer is, where its contract has no place for them.

    Args:
        versions: the model of each domain; the name of a base model may have any characters.
    """
    return {VERSIONS: ", ".join(quote(each, safe="@/") for each in dict.fromkeys(versions.values()))}


def error_response(error: Exception, path: str) -> Response:
    """The response to a request that failed; what is not the client's mistake is logged."""
    status, code, text, parameter, retry = read_error(error, path)
    _log(error, status, path)
    headers = {"Retry-After": str(retry)} if retry else None
    if status == 401:
        headers = {"WWW-Authenticate": "Bearer"}
    if path in TEI_PATHS:
        kind = {413: "Validation", 422: "Validation", 429: "Overloaded"}.get(status, "Backend")
        return JsonResponse({"error": text, "error_type": kind}, status, headers)
    if path == MCP_PATH:
        fault = {"code": _INTERNAL_ERROR if status >= 500 else _INVALID_REQUEST, "message": text}
        return JsonResponse({"jsonrpc": "2.0", "id": None, "error": fault}, status, headers)
    kind = "server_error" if status >= 500 else "invalid_request_error"
    body = {"error": {"message": text, "type": kind, "param": parameter, "code": code}}
    return JsonResponse(body, status, headers)


def described(error: Exception, what: str) -> str:
    """What a client is told of an error, where it gets no status; what is not the client's mistake is logged.

    Args:
        error: that was raised.
        what: failed.
    """
    status, _, text, _, _ = read_error(error, what)
    _log(error, status, what)
    return text


def _log(error: Exception, status: int, what: str) -> None:
    if status >= 500 and not isinstance(error, RequestError):
        log.error("%s failed", what, exc_info=error, extra=OF_A_REQUEST)


def read_error(error: Exception, path: str) -> tuple[int, str, str, str | None, int | None]:
    """Status, code, text, parameter, and seconds after which to try again."""
    if isinstance(error, RequestError):
        return error.status, error.code, str(error), error.parameter, error.retry_after
    if isinstance(error, RequestValidationError):
        place, text = _fault(error)
        return (422 if path in TEI_PATHS else 400), "invalid_request", text, place, None
    if isinstance(error, HTTPException):
        return error.status_code, "invalid_request", f"{path}: {error.detail}", None, None
    if isinstance(error, QueryError):
        return 400, "invalid_request", str(error), None, None
    if isinstance(error, (CandidateIndexError, ClosedError)):
        return 503, "not_available", str(error), None, 1
    if isinstance(error, DomainRouterError):
        return 500, "internal_error", str(error), None, None
    return 500, "internal_error", "internal error: the server's log says more", None, None


def _fault(error: RequestValidationError) -> tuple[str | None, str]:
    """Where the first fault of a body is, and what it is."""
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"] if part != "body")
    if first["type"] == "json_invalid":
        return None, "the body is not JSON"
    of_fields_together = first["type"] == "value_error"
    if first["loc"] == ("body",) and not of_fields_together:
        return None, "the body is not a JSON object: send one, with the header Content-Type: application/json"
    text = first["msg"].removeprefix("Value error, ")
    return place or None, f"`{place}`: {text}" if place else text
