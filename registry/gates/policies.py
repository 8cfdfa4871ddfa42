"""The policies of a registry, and the keys that they protect aliases by: set, listed, removed."""

from __future__ import annotations

from datetime import datetime

from registry.aliasing.moves import author
from registry.names import check_domain
from registry.policies.keys import add_key, list_keys, remove_key
from registry.policies.policy import Policy
from registry.policies.stored import StoredPolicy, every_policy, policy_of, remove_policy, set_policy
from registry.store import Store


class Policies:
    """The policies of one registry."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def all(self) -> list[StoredPolicy]:
        """Every policy, that of the whole registry first."""
        with self._store.reading() as connection:
            return every_policy(connection)

    def of(self, domain: str) -> Policy | None:
        """The policy that a domain's versions are promoted by: its own, else the registry's.

        Raises:
            PolicyError: another version of domain-router wrote it.
        """
        with self._store.reading() as connection:
            return policy_of(connection, check_domain(domain))

    def set(self, policy: Policy, domain: str | None = None) -> None:
        """Set what versions of a domain, or of every domain that has no policy, must hold to be promoted.

        Raises:
            NotPermittedError: the policy that is in force protects an alias from this user.
            PolicyError: the policy names a role or a key that does not exist.
        """
        scope = None if domain is None else check_domain(domain)
        self._store.create()
        self._store.write(lambda connection: set_policy(connection, scope, policy, self._store.key, author()))

    def remove(self, domain: str | None = None) -> bool:
        """Remove the policy of a domain, or of the whole registry; whether there was one.

        Raises:
            NotPermittedError: it protects an alias from this user.
        """
        scope = None if domain is None else check_domain(domain)
        return self._store.write(lambda connection: remove_policy(connection, scope, self._store.key))

    def add_key(self, name: str) -> str:
        """Make a key that a policy may protect aliases by, and return it; the registry keeps its digest alone.

        Raises:
            PolicyError: there is a key of that name.
        """
        self._store.create()
        return self._store.write(lambda connection: add_key(connection, name))

    def remove_key(self, name: str) -> None:
        """Remove a key.

        Raises:
            PolicyError: there is no such key, or a policy names it.
        """
        self._store.write(lambda connection: remove_key(connection, name))

    def keys(self) -> dict[str, datetime]:
        """The names of all keys, and when each was made."""
        with self._store.reading() as connection:
            return list_keys(connection)
