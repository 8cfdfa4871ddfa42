"""Repeats a request that failed in a way that may pass, after the pause that the server asks for, with tenacity.

The client's own retries would not do: each try must first be sure of its part of the budget, may wait for that, and is
counted even if it brings no answer. No hook of the client is called for a try that fails, and what a hook raises counts
for the client as one more failure to retry.
"""

from __future__ import annotations

from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

import openai
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential
from tenacity.wait import wait_base

RETRIES = 6
MAX_RETRY_AFTER = 120.0
"""Seconds that a server may ask for in ``Retry-After``; where it asks for more, :data:`BACKOFF` holds."""
BACKOFF: wait_base = wait_random_exponential(multiplier=0.5, max=8)
"""Up to 0.5, 1, 2, 4 and then 8 s, at random, so that several threads do not all come back at once."""


def retrying() -> Retrying:
    """Calls a function again after errors that may pass, up to :data:`RETRIES` times; the last error is raised."""
    return Retrying(retry=retry_if_exception(_may_pass), wait=pause, stop=stop_after_attempt(RETRIES + 1), reraise=True)


def pause(state: RetryCallState) -> float:
    """Seconds to wait before the next try."""
    error = state.outcome.exception() if state.outcome else None
    response = getattr(error, "response", None)
    asked = _retry_after(response.headers.get("retry-after", "")) if response is not None else 0.0
    return asked if 0 < asked <= MAX_RETRY_AFTER else BACKOFF(state)


def _may_pass(error: BaseException) -> bool:
    """After 408, 409, 429 and 5xx, and where there was no answer."""
    if isinstance(error, openai.APIStatusError):
        return error.status_code in (408, 409, 429) or error.status_code >= 500
    return isinstance(error, openai.APIConnectionError)


def _retry_after(header: str) -> float:
    """Seconds; 0 where the header is neither a number nor a date."""
    try:
        return float(header)
    except ValueError:
        pass
    try:
        return (parsedate_to_datetime(header) - datetime.now(timezone.utc)).total_seconds()
    except (ValueError, TypeError):
        return 0.0
