"""Repeats requests after transient faults, with tenacity, after the pause that the server requests.

The client's own retries cannot keep the budget: every attempt has to reserve its part of it, may have to wait for that,
and counts even if it brings no answer. The client calls no hook for a failed attempt, and takes an error that a hook
raises for one more fault to retry.
"""

from __future__ import annotations

from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

import openai
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential
from tenacity.wait import wait_base

RETRIES = 6
MAX_RETRY_AFTER = 120.0
"""Seconds; a longer pause in ``Retry-After`` is ignored in favour of :data:`BACKOFF`."""
BACKOFF: wait_base = wait_random_exponential(multiplier=0.5, max=8)
"""Random pauses up to 0.5, 1, 2, 4 and then 8 s, so that threads do not all return at once."""


def retrying() -> Retrying:
    """Repeats calls after transient errors, up to :data:`RETRIES` times; then the last error is raised."""
    return Retrying(
        retry=retry_if_exception(_is_transient), wait=pause, stop=stop_after_attempt(RETRIES + 1), reraise=True
    )


def pause(state: RetryCallState) -> float:
    """Seconds to wait before the next attempt."""
    error = state.outcome.exception() if state.outcome else None
    response = getattr(error, "response", None)
    requested = _retry_after(response.headers.get("retry-after", "")) if response is not None else 0.0
    return requested if 0 < requested <= MAX_RETRY_AFTER else BACKOFF(state)


def _is_transient(error: BaseException) -> bool:
    """Whether a later attempt may succeed: after 408, 409, 429 and 5xx, and without any answer."""
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
