"""Who may move a protected alias, or change the policy that protects it."""

from __future__ import annotations

from sqlalchemy import Connection, select, text

from registry.errors import NotPermittedError
from registry.policies.keys import opens
from registry.policies.policy import Guard, Policy, parsed
from registry.storage.tables import policies
from registry.store import KEY_VARIABLE


def in_force(connection: Connection, domain: str) -> tuple[str, Policy | None]:
    """The policy of a domain, else of the registry, and whose it is; an empty domain means the registry's."""
    rows = connection.execute(
        select(policies.c.domain, policies.c.policy).where(policies.c.domain.in_([domain, ""]))
    ).all()
    found = {row.domain: row.policy for row in rows}
    scope = domain if domain in found else ""
    return scope, parsed(found[scope], f"of {scope or 'the registry'}") if scope in found else None


def check_rights(connection: Connection, domain: str, alias: str | None, key: str | None) -> None:
    """Make sure that an alias may be moved, or with None that the policy that is in force may be changed.

    PostgreSQL checks roles once more by itself, whatever program makes the change.

    Args:
        connection: in the transaction of the change.
        domain: of the alias; empty for the whole registry.
        alias: None for every alias that the policy protects.
        key: that this user has.

    Raises:
        NotPermittedError: an alias is protected, and this user has not the role or the key.
    """
    _, policy = in_force(connection, domain)
    for name, guard in policy.protected.items() if policy else ():
        if alias in (None, name):
            _check(connection, name, guard, key)


def users_are_known(connection: Connection) -> bool:
    """Whether the database has users with roles."""
    return connection.dialect.name == "postgresql"


def is_member(connection: Connection, role: str) -> bool:
    """Whether the user of the connection is a member of a role of PostgreSQL."""
    query = "SELECT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = :role AND pg_has_role(current_user, oid, 'MEMBER'))"
    return bool(connection.execute(text(query), {"role": role}).scalar())


def _check(connection: Connection, alias: str, guard: Guard, key: str | None) -> None:
    if guard.role:
        if not users_are_known(connection):
            raise NotPermittedError(f"alias {alias} is protected by the role {guard.role}, which only PostgreSQL knows")
        if not is_member(connection, guard.role):
            raise NotPermittedError(f"alias {alias} is protected: only members of the role {guard.role} may do that")
    if guard.key and not opens(connection, guard.key, key):
        given = "the key that was given is another one" if key else "no key was given"
        raise NotPermittedError(
            f"alias {alias} is protected by the key {guard.key}, and {given}: set {KEY_VARIABLE}, or name its file"
        )
