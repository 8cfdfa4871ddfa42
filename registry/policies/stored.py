"""Policies in the registry: of a domain, which stands in place of the registry's, and of the whole registry."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import NamedTuple

from sqlalchemy import Connection, delete, insert, select, text, update

from registry.errors import NotPermittedError, PolicyError
from registry.policies.keys import has_key
from registry.policies.policy import Guard, Policy, parsed
from registry.policies.rights import check_rights, in_force, is_member, users_are_known
from registry.storage.tables import policies, protected_aliases


class StoredPolicy(NamedTuple):
    """A policy, of a domain or of the whole registry, and who set it when."""

    domain: str | None
    policy: Policy
    set_at: datetime
    author: str


def every_policy(connection: Connection) -> list[StoredPolicy]:
    """All policies, that of the registry first."""
    rows = connection.execute(select(policies).order_by(policies.c.domain))
    return [
        StoredPolicy(
            row.domain or None,
            parsed(row.policy, of(row.domain)),
            row.set_at if row.set_at.tzinfo else row.set_at.replace(tzinfo=timezone.utc),
            row.author,
        )
        for row in rows
    ]


def set_policy(connection: Connection, domain: str | None, policy: Policy, key: str | None, author: str) -> None:
    """Set the policy of a domain, or of the whole registry, in place of an earlier one.

    Args:
        connection: in a transaction.
        domain: None for the whole registry.
        policy: to be kept.
        key: that opens the aliases which the policy in force protects.
        author: who sets it.

    Raises:
        NotPermittedError: the policy in force, or the new one, protects an alias from this user.
        PolicyError: the policy names a role or a key that does not exist.
    """
    scope = domain or ""
    check_rights(connection, scope, None, key)
    for alias, guard in policy.protected.items():
        _check_guard(connection, alias, guard)
    values = {"policy": policy.model_dump(mode="json"), "set_at": datetime.now(timezone.utc), "author": author}
    if not connection.execute(update(policies).where(policies.c.domain == scope).values(**values)).rowcount:
        connection.execute(insert(policies).values(domain=scope, **values))
    connection.execute(delete(protected_aliases).where(protected_aliases.c.domain == scope))
    for alias, guard in policy.protected.items():
        if guard.role:
            connection.execute(insert(protected_aliases).values(domain=scope, alias=alias, role=guard.role))


def remove_policy(connection: Connection, domain: str | None, key: str | None) -> bool:
    """Remove the policy of a domain, or of the whole registry; whether there was one.

    Raises:
        NotPermittedError: the policy protects an alias from this user.
    """
    scope = domain or ""
    check_rights(connection, scope, None, key)
    connection.execute(delete(protected_aliases).where(protected_aliases.c.domain == scope))
    return connection.execute(delete(policies).where(policies.c.domain == scope)).rowcount > 0


def policy_of(connection: Connection, domain: str) -> Policy | None:
    """The policy that a domain's versions are promoted by: its own, else the registry's."""
    return in_force(connection, domain)[1]


def of(scope: str) -> str:
    """Whose policy it is, in words."""
    return f"of {scope}" if scope else "of the registry"


def _check_guard(connection: Connection, alias: str, guard: Guard) -> None:
    if guard.key and not has_key(connection, guard.key):
        raise PolicyError(
            f"protected.{alias}: the registry has no key {guard.key}: make it with 'models keys add {guard.key}'"
        )
    if not guard.role:
        return
    if not users_are_known(connection):
        raise PolicyError(f"protected.{alias}: this registry's database has no roles: protect the alias with a key")
    if not connection.execute(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": guard.role}).scalar():
        raise PolicyError(f"protected.{alias}: the database has no role {guard.role}")
    if not is_member(connection, guard.role):
        raise NotPermittedError(
            f"protected.{alias}: you are no member of the role {guard.role}, and could not change this policy again"
        )
