"""What webhooks tell: events of a change, written in its transaction, so that none is lost and none is made up."""

from __future__ import annotations

import uuid
from datetime import datetime, timezone
from typing import Any

from pydantic import Field
from sqlalchemy import Connection, insert, select

from registry.names import CHAMPION
from registry.records import Record
from registry.storage.tables import deliveries, model_versions, webhooks

PUBLISHED = "version-published"
MOVED = "alias-moved"
SPACE_CHANGED = "vector-space-changed"
TEST = "test"
EVENTS = (PUBLISHED, MOVED, SPACE_CHANGED)
"""What a webhook can ask for; ``test`` is sent by hand."""

_EMBED_AGAIN = (
    "Vectors made with the earlier version cannot be compared with those of the new one: embed again whatever is "
    "indexed with it. A joint space that contains this domain has changed, too: export it and embed again."
)


class Event(Record):
    """One event. The same event may be sent several times: its id tells that."""

    id: str
    event: str
    at: datetime
    data: dict[str, Any] = Field(description="what depends on the event")


def new_event(kind: str, data: dict[str, Any]) -> Event:
    """An event of this moment."""
    return Event(id=uuid.uuid4().hex, event=kind, at=datetime.now(timezone.utc), data=data)


def tell_of_version(connection: Connection, domain: str, version: int) -> None:
    """Enqueue the event of a new version."""
    _enqueue(connection, PUBLISHED, {"domain": domain, "version": _described(connection, domain, version)})


def tell_of_move(connection: Connection, domain: str, alias: str, version: int | None, previous: int | None) -> None:
    """Enqueue the events of a moved alias."""
    if not _listeners(connection, MOVED) and not _listeners(connection, SPACE_CHANGED):
        return
    before = _described(connection, domain, previous)
    after = _described(connection, domain, version)
    _enqueue(connection, MOVED, {"domain": domain, "alias": alias, "from": before, "to": after})
    if alias == CHAMPION and before and after and before["artifact"] != after["artifact"]:
        change = {"domain": domain, "from": before, "to": after, "dimension": after["dimension"], "note": _EMBED_AGAIN}
        _enqueue(connection, SPACE_CHANGED, change)


def enqueue_for(connection: Connection, webhook: str, event: Event) -> str:
    """Enqueue an event for one webhook; returns the delivery's id."""
    delivery = uuid.uuid4().hex
    connection.execute(
        insert(deliveries).values(
            id=delivery, webhook=webhook, event=event.model_dump(mode="json"), made=event.at, due=event.at
        )
    )
    return delivery


def _enqueue(connection: Connection, kind: str, data: dict[str, Any]) -> None:
    event = new_event(kind, data)
    for webhook in _listeners(connection, kind):
        enqueue_for(connection, webhook, event)


def _listeners(connection: Connection, kind: str) -> list[str]:
    return [row.name for row in connection.execute(select(webhooks.c.name, webhooks.c.events)) if kind in row.events]


def _described(connection: Connection, domain: str, version: int | None) -> dict[str, Any] | None:
    """What receivers need of a version."""
    query = select(model_versions.c.artifact, model_versions.c.base_model, model_versions.c.record)
    found = query.where(model_versions.c.domain == domain, model_versions.c.version == version)
    row = connection.execute(found).first() if version is not None else None
    return row and {
        "name": f"{domain}@{version}",
        "version": version,
        "artifact": row.artifact,
        "base_model": row.base_model,
        "dimension": row.record["dimension"],
    }
