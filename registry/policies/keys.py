"""Keys that open protected aliases: printed once, kept as digests."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import datetime, timezone

from sqlalchemy import Connection, delete, insert, select

from registry.errors import PolicyError
from registry.policies.policy import check_key
from registry.storage.tables import keys, policies

_PREFIX = "drp_"


def add_key(connection: Connection, name: str) -> str:
    """Make a key and return it; the registry keeps its digest alone.

    Keys are of 256 random bits, which no attempt finds, so that a plain digest is enough.

    Raises:
        InvalidNameError: a key may not have that name.
        PolicyError: there is a key of that name.
    """
    check_key(name)
    if has_key(connection, name):
        raise PolicyError(f"there is a key {name} already: remove it first, or choose another name")
    secret = _PREFIX + secrets.token_urlsafe(32)
    connection.execute(insert(keys).values(name=name, digest=_digest(secret), made=datetime.now(timezone.utc)))
    return secret


def remove_key(connection: Connection, name: str) -> None:
    """Remove a key.

    Raises:
        InvalidNameError: no key may have that name.
        PolicyError: there is no such key, or a policy names it.
    """
    check_key(name)
    for row in connection.execute(select(policies.c.domain, policies.c.policy)):
        if any(guard.get("key") == name for guard in row.policy.get("protected", {}).values()):
            raise PolicyError(f"the policy of {row.domain or 'the registry'} names the key {name}: change it first")
    if not connection.execute(delete(keys).where(keys.c.name == name)).rowcount:
        raise PolicyError(f"there is no key {name}")


def list_keys(connection: Connection) -> dict[str, datetime]:
    """The names of all keys, and when each was made."""
    rows = connection.execute(select(keys.c.name, keys.c.made).order_by(keys.c.name))
    return {row.name: row.made if row.made.tzinfo else row.made.replace(tzinfo=timezone.utc) for row in rows}


def has_key(connection: Connection, name: str) -> bool:
    """Whether there is a key of that name."""
    return connection.execute(select(keys.c.name).where(keys.c.name == name)).first() is not None


def opens(connection: Connection, name: str, secret: str | None) -> bool:
    """Whether a secret is the key of that name; compared in constant time."""
    digest = connection.execute(select(keys.c.digest).where(keys.c.name == name)).scalar()
    return digest is not None and secret is not None and hmac.compare_digest(digest, _digest(secret))


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()
