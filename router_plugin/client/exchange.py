"""How the clients speak to a server: what they send, when they send it again, and what errors mean."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any, Generic, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from registry.shared.wording import first_fault
from router_plugin.client.calls import Call
from router_plugin.client.errors import ClientError, RefusedError, UnavailableError, UnexpectedAnswerError
from router_plugin.errors import QueryError, SettingsError

API_KEY = "DOMAIN_ROUTER_API_KEY"
"""Environment variable of the key that is used where none is given."""

URL = "http://127.0.0.1:8700"
"""Where ``domain-router serve`` listens by default."""

FIRST_PAUSE = 0.25
"""Seconds before the first retry, about; twice as many before each further one."""

T = TypeVar("T")
Outcome = httpx.Response | httpx.RequestError


class Connection:
    """Where a server is and how it is called: what the clients have in common.

    Attributes:
        http: what an ``httpx`` client is made with.
        timeout: seconds for a call.
        retries: maximum number of retries of a call.
    """

    def __init__(self, base_url: str, api_key: str | None, timeout: float, retries: int) -> None:
        """See :class:`router_plugin.DomainRouterClient`."""
        if not 0 < timeout < float("inf"):
            raise SettingsError(f"`timeout` {timeout}: expected a number of seconds greater than 0")
        if retries < 0:
            raise SettingsError(f"`retries` {retries}: expected a whole number of at least 0")
        self.timeout, self.retries = timeout, retries
        key = (os.environ.get(API_KEY, "") if api_key is None else api_key).strip()
        if not key.isascii() or not key.isprintable():
            raise SettingsError(f"`api_key`, or ${API_KEY}: expected a key as 'domain-router keys add' prints it")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.http: dict[str, Any] = {"base_url": _checked(base_url), "headers": headers}


def _checked(base_url: str) -> httpx.URL:
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL as error:
        raise SettingsError(f"`base_url` {base_url!r}: {error}") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise SettingsError(f"`base_url` {base_url!r}: expected an address like {URL}")
    return url


class Exchange(Generic[T]):
    """A call with its retries: what is sent, how long to wait before it is sent again, and what came of it."""

    def __init__(self, call: Call[T], connection: Connection) -> None:
        """Begin; the time for all of it runs.

        Raises:
            QueryError: what is to be sent cannot be JSON.
        """
        self._call, self._left, self._pause = call, connection.retries, FIRST_PAUSE
        self._end = time.monotonic() + connection.timeout
        self._timeout = connection.timeout
        self._content = None if call.body is None else _json(call.body)

    def request(self, http: httpx.Client | httpx.AsyncClient) -> httpx.Request:
        """What is sent now. It tells the server how long its answer is waited for."""
        seconds = max(self._end - time.monotonic(), 0.001)
        return http.build_request(
            "GET" if self._content is None else "POST",
            self._call.path,
            content=self._content,
            headers={"Content-Type": "application/json", "X-Request-Timeout": f"{seconds:.3f}", **self._call.headers},
            timeout=seconds,
        )

    def pause(self, outcome: Outcome) -> float | None:
        """Seconds after which the request is sent again; None where it is not."""
        if not self._left or not self._may_repeat(outcome):
            return None
        seconds = self._pause * random.uniform(0.75, 1.25)
        if isinstance(outcome, httpx.Response):
            seconds = max(seconds, _retry_after(outcome))
        self._left, self._pause = self._left - 1, self._pause * 2
        return seconds if time.monotonic() + seconds < self._end else None

    def _may_repeat(self, outcome: Outcome) -> bool:
        if self._call.repeat == "never":
            return False
        if isinstance(outcome, httpx.Response):
            return outcome.status_code in (429, 503)
        if isinstance(outcome, httpx.ConnectError):
            return True
        lost = isinstance(outcome, httpx.NetworkError | httpx.RemoteProtocolError)
        return lost and self._call.repeat == "always"

    def result(self, outcome: Outcome) -> T:
        """The result.

        Raises:
            UnavailableError: the server could not be reached, or could not answer.
            RefusedError: it refused.
            UnexpectedAnswerError: it answered what cannot be understood.
        """
        where = _address(outcome.request.url)
        if isinstance(outcome, httpx.TimeoutException):
            raise UnavailableError(f"{where}: no answer within {self._timeout:g} s") from outcome
        if isinstance(outcome, httpx.DecodingError):
            raise UnexpectedAnswerError(f"{where}: unexpected answer: {outcome}") from outcome
        if isinstance(outcome, httpx.RequestError):
            raise UnavailableError(f"{where} cannot be reached: {outcome or type(outcome).__name__}") from outcome
        if not outcome.is_success:
            raise _failure(where, outcome)
        try:
            return self._call.read(outcome.content)
        except ValueError as error:
            said = first_fault(error) if isinstance(error, ValidationError) else str(error)
            raise UnexpectedAnswerError(f"{where}: unexpected answer: {said}", outcome.status_code) from error


class _Detail(BaseModel):
    message: str
    code: str | None = None


class _Failure(BaseModel):
    """Errors as OpenAI's contract has them, and that of text-embeddings-inference."""

    error: _Detail | str
    error_type: str | None = None


def _failure(where: str, response: httpx.Response) -> ClientError:
    """The error for a status that is none of success."""
    status = response.status_code
    try:
        said = _Failure.model_validate_json(response.content)
        detail = said.error if isinstance(said.error, _Detail) else _Detail(message=said.error, code=said.error_type)
    except ValidationError:
        detail = _Detail(message=" ".join(response.text.split())[:200] or response.reason_phrase)
    kind = UnavailableError if status == 429 or status >= 500 else RefusedError
    return kind(f"{where}: {detail.message} (HTTP {status})", status, detail.code)


def _retry_after(response: httpx.Response) -> float:
    """Seconds that a server asks to wait: a number or a date (RFC 9110, section 10.2.3); 0 where it does not ask."""
    value = response.headers.get("Retry-After", "")
    if value.isdecimal():
        return float(value)
    try:
        return (parsedate_to_datetime(value) - datetime.now(timezone.utc)).total_seconds()
    except (ValueError, TypeError):  # TypeError: a date without a time zone
        return 0.0


def _address(url: httpx.URL) -> str:
    """An address without the name and password that may stand in it."""
    return f"{url.scheme}://{url.netloc.decode()}{url.path}"


def _json(body: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise QueryError(f"what is to be sent is not text, or cannot be JSON: {error}") from error
