"""Sends what is enqueued: each delivery is claimed, sent, and its outcome is written down."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import NamedTuple

from sqlalchemy import Connection, Engine, delete, select, update

from registry.storage.database import reading, write
from registry.storage.tables import deliveries, webhooks
from registry.webhooks.signing import EVENT_ID, SIGNATURE, sign

TRIES = 10
"""Attempts at a delivery before it is given up: over about five hours."""
TIMEOUT_SECONDS = 10.0
_FIRST_PAUSE, _LONGEST_PAUSE = 10.0, 3600 * 2
_CLAIMED = timedelta(seconds=60)
"""After which another sender may take a delivery that its sender did not finish."""
_KEPT = timedelta(days=90)
_USER_AGENT = "domain-router"
_THREADS = 8


class _Claimed(NamedTuple):
    id: str
    event: dict[str, object]
    attempts: int
    url: str
    secret: str


class Sent(NamedTuple):
    """What a sender did: deliveries that were taken, those that failed, and variables of secrets that are not set."""

    delivered: int = 0
    failed: int = 0
    without_secret: tuple[str, ...] = ()


def deliver(engine: Engine, first_attempts_only: bool = False, only: str | None = None, limit: int = 100) -> Sent:
    """Send what is due.

    Args:
        engine: the registry's database.
        first_attempts_only: leave retries to others.
        only: the id of one delivery.
        limit: maximum number of deliveries to each webhook.

    Raises:
        RegistryError: the database cannot be read or written.
    """
    variables = _waiting(engine)
    known = [name for name, variable in variables.items() if os.environ.get(variable)]
    lacking = {variable for variable in variables.values() if not os.environ.get(variable)}
    with ThreadPoolExecutor(max(1, min(len(known), _THREADS))) as pool:  # a slow receiver holds up no other
        done = pool.map(
            lambda name: _deliver_to(engine, name, variables[name], first_attempts_only, only, limit), known
        )
        results = [each for several in done for each in several]
    return Sent(sum(results), len(results) - sum(results), tuple(sorted(lacking)))


def _deliver_to(
    engine: Engine, webhook: str, variable: str, first_attempts_only: bool, only: str | None, limit: int
) -> list[bool]:
    """Send what is due to one receiver; of each delivery whether it was taken."""
    results = []
    secret = os.environ.get(variable, "")
    for identity in _due(engine, webhook, first_attempts_only, only, limit):
        claimed = write(engine, partial(_claim, identity=identity, secret=secret), counted=False)
        if claimed is not None:  # else another sender was faster
            taken, outcome = _post(claimed)
            write(engine, partial(_record, claimed=claimed, taken=taken, outcome=outcome), counted=False)
            results.append(taken)
    return results


def forget_old(engine: Engine) -> None:
    """Remove what was delivered or given up long ago from the log."""
    old = delete(deliveries).where(deliveries.c.due.is_(None), deliveries.c.made < _now() - _KEPT)
    write(engine, lambda connection: connection.execute(old), counted=False)


def pause(attempts: int, draw: Callable[[], float] = random.random) -> float:
    """Seconds until the next attempt: doubled after each one, give or take a random half, so that senders spread."""
    return min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** (attempts - 1)) * (0.5 + draw())


def _waiting(engine: Engine) -> dict[str, str]:
    """The webhooks for which something is due, each with the variable of its secret."""
    query = (
        select(webhooks.c.name, webhooks.c.secret_variable)
        .join(deliveries, webhooks.c.name == deliveries.c.webhook)
        .where(deliveries.c.due <= _now())
        .distinct()
    )
    with reading(engine) as connection:
        return {row.name: row.secret_variable for row in connection.execute(query)}


def _due(engine: Engine, webhook: str, first_attempts_only: bool, only: str | None, limit: int) -> list[str]:
    query = select(deliveries.c.id).where(deliveries.c.webhook == webhook, deliveries.c.due <= _now())
    if first_attempts_only:
        query = query.where(deliveries.c.attempts == 0)
    if only is not None:
        query = query.where(deliveries.c.id == only)
    with reading(engine) as connection:
        return list(connection.execute(query.order_by(deliveries.c.due).limit(limit)).scalars())


def _claim(connection: Connection, identity: str, secret: str) -> _Claimed | None:
    """Count an attempt and put the next one off; None if the delivery is not due any more."""
    query = (
        select(deliveries.c.event, deliveries.c.attempts, webhooks.c.url)
        .join(webhooks, webhooks.c.name == deliveries.c.webhook)
        .where(deliveries.c.id == identity, deliveries.c.due <= _now())
    )
    if (row := connection.execute(query).first()) is None:
        return None
    connection.execute(
        update(deliveries)
        .where(deliveries.c.id == identity)
        .values(attempts=row.attempts + 1, due=_now() + _CLAIMED, outcome="is being sent")
    )
    return _Claimed(identity, row.event, row.attempts + 1, row.url, secret)


def _post(claimed: _Claimed) -> tuple[bool, str]:
    """Whether the receiver took it, and what it answered."""
    import httpx

    body = json.dumps(claimed.event, ensure_ascii=False, separators=(",", ":")).encode()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": _USER_AGENT,
        EVENT_ID: str(claimed.event["id"]),
        SIGNATURE: sign(body, claimed.secret),
    }
    started = time.monotonic()
    try:
        with (
            httpx.Client(follow_redirects=False, timeout=TIMEOUT_SECONDS) as client,
            client.stream("POST", claimed.url, content=body, headers=headers) as answer,
        ):
            taken, said = answer.is_success, f"status {answer.status_code}"
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        taken, said = False, f"{type(error).__name__}: {error}".rstrip(": ")
    return taken, f"{said} after {time.monotonic() - started:.2f} s"


def _record(connection: Connection, claimed: _Claimed, taken: bool, outcome: str) -> None:
    given_up = not taken and claimed.attempts >= TRIES
    done = taken or given_up
    connection.execute(
        update(deliveries)
        .where(deliveries.c.id == claimed.id, deliveries.c.due.is_not(None))
        .values(
            due=None if done else _now() + timedelta(seconds=pause(claimed.attempts)),
            delivered=_now() if taken else None,
            outcome=f"given up: {outcome}" if given_up else outcome,
        )
    )


def _now() -> datetime:
    return datetime.now(timezone.utc)
