"""The webhooks of a registry: added, listed, removed, tried, and the log of their deliveries."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field
from sqlalchemy import Connection, delete, insert, select, update

from registry.errors import NotRegisteredError, WebhookError
from registry.names import check_name
from registry.records import Record
from registry.storage.database import write
from registry.storage.tables import deliveries, webhooks
from registry.store import Store
from registry.webhooks.events import EVENTS, TEST, enqueue_for, new_event
from registry.webhooks.sending import Sent, deliver, forget_old

log = logging.getLogger(__name__)

AFTER_CHANGE_SECONDS = 3.0
"""How long a change may wait for its events to be sent. What is not sent then is sent by ``deliver``."""

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_LONGEST_URL = 2000


class Webhook(Record):
    """Who is told of what."""

    name: str
    url: str
    events: list[str]
    secret_variable: str = Field(description="environment variable that holds the secret where events are sent")
    made: datetime


class Delivery(Record):
    """An event for one webhook, and what became of it."""

    id: str
    webhook: str
    event: dict[str, Any]
    made: datetime
    attempts: int
    due: datetime | None = Field(description="of the next attempt; None if it was delivered or given up")
    delivered: datetime | None
    outcome: str | None = Field(description="of the last attempt")


class Webhooks:
    """The webhooks of one registry."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, name: str, url: str, secret_variable: str, events: Iterable[str] = EVENTS) -> Webhook:
        """Tell a URL of events from now on.

        Args:
            name: lower-case words joined by ``-`` or ``_``.
            url: http or https, without credentials. Redirects are not followed.
            secret_variable: name of the environment variable that holds the secret; the secret itself is not stored.
            events: some of :data:`registry.webhooks.events.EVENTS`.

        Raises:
            InvalidNameError: the name cannot be one.
            WebhookError: another argument is malformed, or the name is taken.
            RegistryError: the registry cannot be written.
        """
        added = Webhook(
            name=check_name(name, "webhook"),
            url=_checked_url(url),
            events=_checked_events(events),
            secret_variable=_checked_variable(secret_variable),
            made=datetime.now(timezone.utc),
        )

        def add(connection: Connection) -> None:
            if connection.execute(select(webhooks.c.name).where(webhooks.c.name == name)).first():
                raise WebhookError(f"webhook {name!r} exists already: remove it first, or choose another name")
            connection.execute(insert(webhooks).values(**added.model_dump()))

        self._store.create()
        self._store.write(add)
        return added

    def all(self) -> list[Webhook]:
        """All, by name."""
        with self._store.reading() as connection:
            rows = connection.execute(select(webhooks).order_by(webhooks.c.name)).all()
        return [Webhook(**{**row._mapping, "made": _in_utc(row.made)}) for row in rows]

    def remove(self, name: str) -> None:
        """Tell it nothing any more, of earlier changes either. The log of its deliveries stays.

        Raises:
            NotRegisteredError: there is none of this name.
        """

        def remove(connection: Connection) -> None:
            if not connection.execute(delete(webhooks).where(webhooks.c.name == name)).rowcount:
                raise self._unknown(connection, name)
            waiting = update(deliveries).where(deliveries.c.webhook == name, deliveries.c.due.is_not(None))
            connection.execute(waiting.values(due=None, outcome="given up: the webhook was removed"))

        self._store.write(remove)

    def test(self, name: str) -> Delivery:
        """Send a test event now, once; returns what became of it.

        Raises:
            NotRegisteredError: there is none of this name.
        """

        def enqueue(connection: Connection) -> str:
            if not connection.execute(select(webhooks.c.name).where(webhooks.c.name == name)).first():
                raise self._unknown(connection, name)
            return enqueue_for(connection, name, new_event(TEST, {"webhook": name}))

        identity = write(self._store.engine, enqueue, counted=False)
        deliver(self._store.engine, only=identity)
        ended = update(deliveries).where(deliveries.c.id == identity)
        write(self._store.engine, lambda connection: connection.execute(ended.values(due=None)), counted=False)
        return next(each for each in self.deliveries(name) if each.id == identity)

    def deliveries(self, name: str | None = None, limit: int = 100) -> list[Delivery]:
        """The log, newest first."""
        query = select(deliveries).order_by(deliveries.c.made.desc(), deliveries.c.id).limit(limit)
        if name is not None:
            query = query.where(deliveries.c.webhook == name)
        with self._store.reading() as connection:
            rows = connection.execute(query).all()
        times = ("made", "due", "delivered")
        return [Delivery(**{**row._mapping, **{time: _in_utc(row._mapping[time]) for time in times}}) for row in rows]

    def deliver(self) -> Sent:
        """Send all that is due, retries too.

        Raises:
            RegistryError: the registry cannot be read or written.
        """
        forget_old(self._store.engine)
        return deliver(self._store.engine)

    def deliver_new(self, seconds: float = AFTER_CHANGE_SECONDS) -> None:
        """Try to send what a change has just enqueued, for a limited time. A failure is logged, and retried later."""

        def run() -> None:
            try:
                sent = deliver(self._store.engine, first_attempts_only=True)
            except Exception:  # the change is committed, and what is enqueued is not lost
                log.exception("webhooks: the events of this change could not be sent now")
                return
            if sent.failed:
                log.warning("webhooks: %d events could not be delivered; 'webhooks deliver' retries them", sent.failed)
            for variable in sent.without_secret:
                log.warning("webhooks: %s is not set here: 'webhooks deliver', where it is, sends the events", variable)

        with self._store.reading() as connection:
            waiting = select(deliveries.c.id).where(deliveries.c.due <= datetime.now(timezone.utc))
            if connection.execute(waiting.limit(1)).first() is None:
                return
        sender = threading.Thread(target=run, name="webhooks", daemon=True)
        sender.start()
        sender.join(seconds)

    @staticmethod
    def _unknown(connection: Connection, name: str) -> NotRegisteredError:
        known = [row.name for row in connection.execute(select(webhooks.c.name).order_by(webhooks.c.name))]
        return NotRegisteredError(f"unknown webhook {name!r}: known are {', '.join(known) or 'none'}")


def _checked_url(url: str) -> str:
    shown = "expected http:// or https:// with a host, and neither credentials nor a fragment"
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError as error:
        raise WebhookError(f"`url`: {error}: {shown}") from error
    printable = url.isascii() and url.isprintable() and " " not in url and len(url) <= _LONGEST_URL
    if not valid or not printable or "@" in parts.netloc or parts.fragment or "\\" in url:
        raise WebhookError(f"`url`: {shown}")  # without the URL, which may hold a password
    return url


def _checked_events(events: Iterable[str]) -> list[str]:
    asked = sorted(set(events))
    if unknown := [each for each in asked if each not in EVENTS]:
        raise WebhookError(f"`events`: unknown event {unknown[0]!r}: expected some of {', '.join(EVENTS)}")
    if not asked:
        raise WebhookError(f"`events`: expected at least one of {', '.join(EVENTS)}")
    return asked


def _checked_variable(name: str) -> str:
    if not _VARIABLE.fullmatch(name):
        raise WebhookError("`secret_variable`: expected the name of an environment variable, not the secret itself")
    return name


def _in_utc(time: datetime | None) -> datetime | None:
    """A time with its zone; SQLite keeps none."""
    return time.replace(tzinfo=timezone.utc) if time is not None and time.tzinfo is None else time
