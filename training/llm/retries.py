"""Requests that failed in a way that passes: which, and how long to wait before the next try."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

RETRIES = 6
LONGEST_ASKED_FOR = 120.0
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 8.0


def passes(status: int | None) -> bool:
    """Whether a later request may be answered: after 408, 409, 429 and 5xx, and where there was no answer (None)."""
    return status is None or status in (408, 409, 429) or status >= 500


def wait(attempt: int, headers: Mapping[str, str]) -> None:
    """Sleep as long as the server asks for in ``Retry-After``, up to two minutes, else half a second.

    That is doubled with each attempt, from 0, up to 8 s, and shortened by up to a quarter, so that several threads do
    not all come back at once.
    """
    asked = _asked(headers.get("retry-after", ""))
    by_itself = min(FIRST_PAUSE * 2**attempt, LONGEST_PAUSE) * random.uniform(0.75, 1)
    time.sleep(asked if 0 < asked <= LONGEST_ASKED_FOR else by_itself)


def _asked(after: str) -> float:
    """Seconds; 0 where there is neither a number nor a date."""
    try:
        return float(after)
    except ValueError:
        pass
    try:
        return (parsedate_to_datetime(after) - datetime.now(timezone.utc)).total_seconds()
    except (ValueError, TypeError):
        return 0.0
