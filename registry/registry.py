"""The model registry: immutable versions per domain, movable aliases, and artifacts checked on every load."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from sqlalchemy import Connection, select

from registry.aliasing.history import Move, at, history
from registry.aliasing.moves import ROLLBACK, Mover, Reason, aliased, check_champion, move
from registry.aliasing.standing import check_alive, check_custom, earlier_champion
from registry.catalog import deletion
from registry.catalog.collecting import Collected, collect, what_to_collect
from registry.catalog.listing import Filter, Listed, listed
from registry.catalog.publishing import Published, publish
from registry.catalog.versions import champions, domains_of, every_version, find, numbers_of, with_artifact
from registry.errors import InvalidNameError, NotRegisteredError, RegistryError
from registry.exchange.exchanging import Exchange
from registry.gates.policies import Policies
from registry.gates.promotion import Decision, Request, decide, promote
from registry.names import CANDIDATE, CHAMPION, check_alias, check_domain, parse_reference
from registry.paths import PathLike, local_path
from registry.records import ModelRecord, ModelVersion
from registry.signing.signed import Signatures
from registry.storage.file_lists import digest_of, digest_of_list
from registry.storage.tables import aliases
from registry.store import Store
from registry.watching.watcher import Watcher
from registry.webhooks.webhooks import Webhooks

log = logging.getLogger(__name__)

_MOST_DAYS = 36500
_MOST_SHOWN = 20


class Observer:
    """Is notified of changes in a registry after they were committed. An observer that raises is logged."""

    def version_published(self, version: ModelVersion) -> None:
        """A new version can be loaded."""

    def alias_moved(self, domain: str, alias: str, version: int | None, previous: int | None) -> None:
        """An alias refers to another version now; to None if it was removed."""


class Registry:
    """Model versions and aliases of one store. Safe to use from several threads and processes.

    Attributes:
        url: of the database, without its password.
        webhooks: URLs that are notified of changes.
        policies: what versions must hold to be promoted, and the keys of protected aliases.
        signatures: of the versions.
        exchange: exports and imports versions.
    """

    def __init__(self, url: PathLike | None = None, observer: Observer | None = None) -> None:
        """Open a registry. One that does not exist is empty, and nothing is written before the first publication.

        Args:
            url: a folder, or a database URL with ``?artifacts=``; see :func:`registry.storage.location.locate`.
            observer: notified of every change made through this object.

        Raises:
            RegistryError: the URL is invalid, or the registry cannot be opened.
            OutputError: no registry is named, and the folder for what is kept on this machine is unknown.
        """
        self._store = Store(url)
        self.url = self._store.location.database.render_as_string()
        self.webhooks = Webhooks(self._store)
        self.policies = Policies(self._store)
        self.signatures = Signatures(self._store)
        self.exchange = Exchange(self._store, self.fetch, self._tell)
        self._observers = [observer] if observer else []

    @classmethod
    def open(cls, url: PathLike | None = None, observer: Observer | None = None) -> Registry:
        """The same as the constructor."""
        return cls(url, observer)

    def create(self) -> None:
        """Create the registry, if it does not exist, before the first publication would.

        Raises:
            RegistryError: it cannot be written.
        """
        self._store.create()

    def observe(self, observer: Observer) -> None:
        """Notify one more observer of every change made through this object."""
        self._observers.append(observer)

    def use_key(self, key: str) -> None:
        """Open protected aliases with a key; by default it is that of :data:`~registry.store.KEY_VARIABLE`."""
        self._store.key = key

    def close(self) -> None:
        """Close the connections to the database."""
        self._store.close()

    def publish(self, folder: PathLike, record: ModelRecord, why: str | None = None) -> ModelVersion:
        """Store a model folder as the next version of its domain.

        The first version of a domain becomes its champion, unless a policy holds for the domain; any other one becomes
        its candidate. A crash at any instant leaves either the whole version or nothing visible.

        Args:
            folder: the model's files.
            record: what training recorded of the model.
            why: for the history.

        Raises:
            NotPermittedError: the alias is protected from this user.
            RegistryError: the folder does not exist, or the registry cannot be written.
        """
        folder = local_path(folder, RegistryError)
        if not folder.is_dir():
            raise RegistryError(f"{folder}: model folder not found")
        self.create()
        reason = Reason("publish", why, key=self._store.key)
        return self._tell(publish(self._store.engine, self._store.artifacts, folder, record, reason))

    def versions(self, domain: str | None = None, numbers: Collection[int] | None = None) -> list[ModelVersion]:
        """Every version that is not deleted, oldest first, domain by domain.

        Args:
            domain: of this domain alone.
            numbers: those with these numbers alone.
        """
        wanted = None if domain is None else check_domain(domain)
        with self._store.reading() as connection:
            return every_version(connection, wanted, numbers)

    def listed(self, wanted: Filter | None = None) -> list[Listed]:
        """The versions that a filter lets pass, domain by domain, oldest first, without their records."""
        with self._store.reading() as connection:
            return listed(connection, wanted or Filter())

    def get(self, reference: str) -> ModelVersion:
        """The version that ``medical``, ``medical@3`` or ``medical@candidate`` refers to.

        Raises:
            NotRegisteredError: the registry does not have it, or it is deleted.
        """
        wanted = parse_reference(reference)
        with self._store.reading() as connection:
            version = find(connection, wanted)
        if version is None:
            raise NotRegisteredError(f"unknown model {reference} in {self.url}: {self._known(wanted.domain)}")
        return version

    def find_by_content(self, folder: PathLike) -> ModelVersion | None:
        """The newest version with exactly the files of a model folder; None if no version has them."""
        digest = digest_of(local_path(folder, RegistryError))
        with self._store.reading() as connection:
            return with_artifact(connection, digest)

    def champions(self) -> list[ModelVersion]:
        """The version that queries of each domain are served with, in order of domain name."""
        with self._store.reading() as connection:
            return champions(connection)

    def aliases(self, domain: str) -> dict[str, int]:
        """Alias to version number."""
        query = select(aliases.c.alias, aliases.c.version).where(aliases.c.domain == check_domain(domain))
        with self._store.reading() as connection:
            return {row.alias: row.version for row in connection.execute(query.order_by(aliases.c.alias))}

    def promote(
        self,
        reference: str,
        why: str | None = None,
        *,
        force: bool = False,
        announce_vector_space: bool = False,
        mover: Mover | None = None,
        replacing: int | None = None,
    ) -> ModelVersion:
        """Make a version the champion of its domain; a bare domain means its candidate.

        The policy of the domain, else of the registry, decides. What is promoted is no longer the candidate.

        Args:
            reference: of the version.
            why: for the history.
            force: promote against the policy, which needs `why`. A retired version is not promoted by force either.
            announce_vector_space: the vectors change in kind on purpose; see the rule ``same_space``.
            mover: who has it done, where that is not the user of this process.
            replacing: number of the champion that is to be replaced; 0 for none, None where it may be any.

        Raises:
            NotRegisteredError: the registry does not have that version.
            GateError: the version does not hold what the policy demands, or was retired.
            NotPermittedError: the alias is protected from this user.
            ChangedError: the champion is neither the one to be replaced nor this version.
        """
        version = self._promotable(reference)
        name, key = self._mover(mover)
        request = Request(why, force, announce_vector_space, key, name, replacing)
        previous, _ = promote(self._store.engine, self._store.artifacts, version, request)
        if previous != version.version:
            self._notify(lambda each: each.alias_moved(version.domain, CHAMPION, version.version, previous))
        return version

    def gate(self, reference: str, announce_vector_space: bool = False) -> tuple[ModelVersion, Decision]:
        """What :meth:`promote` would decide, without moving anything.

        Raises:
            NotRegisteredError: the registry does not have that version.
            DamagedArtifactError: the metrics of a version's single queries cannot be read.
        """
        version = self._promotable(reference)
        return version, decide(self._store.engine, self._store.artifacts, version, announce_vector_space)

    def rollback(
        self, domain: str, why: str | None = None, *, mover: Mover | None = None, replacing: int | None = None
    ) -> ModelVersion:
        """Restore the previous champion; each further call goes back by one more. Those deleted or retired are skipped.

        No policy is asked.

        Args:
            domain: whose champion it is.
            why: for the history.
            mover: who has it done, where that is not the user of this process.
            replacing: number of the champion that is to be replaced; None where it may be any.

        Raises:
            NotRegisteredError: the domain has no champion, or never had another one.
            NotPermittedError: the alias is protected from this user.
            ChangedError: the champion is not the one to be replaced.
        """
        name, key = self._mover(mover)

        def go_back(connection: Connection) -> tuple[int, int | None]:
            check_champion(connection, check_domain(domain), replacing)
            before = earlier_champion(connection, domain)
            if before is None:
                raise NotRegisteredError(f"{domain} has no earlier champion: {self._known(domain)}")
            return before, move(connection, domain, CHAMPION, before, Reason(ROLLBACK, why, key=key, mover=name))

        before, current = self._store.write(go_back)
        self._notify(lambda each: each.alias_moved(domain, CHAMPION, before, current))
        return self.get(f"{domain}@{before}")

    def earlier_champion(self, domain: str) -> ModelVersion | None:
        """The version that :meth:`rollback` would restore; None if there is none."""
        check_domain(domain)
        with self._store.reading() as connection:
            number = earlier_champion(connection, domain)
        return None if number is None else self.get(f"{domain}@{number}")

    def alias(self, reference: str, alias: str, why: str | None = None) -> ModelVersion:
        """Let an alias of a name of your own point to a version.

        Raises:
            NotRegisteredError: the registry does not have that version, or it is deleted.
            RegistryError: the alias is the champion or the candidate.
        """
        check_custom(alias)
        version = self.get(reference)

        def point(connection: Connection) -> int | None:
            check_alive(connection, version.domain, version.version)
            return move(connection, version.domain, alias, version.version, Reason("alias", why, key=self._store.key))

        previous = self._store.write(point)
        if previous != version.version:
            self._notify(lambda each: each.alias_moved(version.domain, alias, version.version, previous))
        return version

    def remove_alias(self, domain: str, alias: str, why: str | None = None) -> int:
        """Remove an alias of a name of your own; returns the version that it pointed to.

        Raises:
            NotRegisteredError: there is no such alias.
            RegistryError: it is the champion or the candidate.
        """
        check_domain(domain)
        check_custom(alias)

        def remove(connection: Connection) -> int:
            previous = aliased(connection, domain, alias)
            if previous is None:
                raise NotRegisteredError(f"{domain} has no alias {alias}: {self._known(domain)}")
            move(connection, domain, alias, None, Reason("alias", why, key=self._store.key))
            return previous

        previous = self._store.write(remove)
        self._notify(lambda each: each.alias_moved(domain, alias, None, previous))
        return previous

    def retire(self, reference: str, why: str | None = None) -> ModelVersion:
        """Let a version not be promoted any more, nor be gone back to; it is no longer the candidate.

        Raises:
            NotRegisteredError: the registry does not have it, or it is deleted.
            RegistryError: it is the champion.
        """
        version = self.get(reference)
        work = partial(deletion.retire, domain=version.domain, version=version.version, why=why, key=self._store.key)
        if self._store.write(work):
            self._notify(lambda each: each.alias_moved(version.domain, CANDIDATE, None, version.version))
        return version

    def undo_retirement(self, reference: str) -> ModelVersion:
        """Let a version be promoted again.

        Raises:
            NotRegisteredError: the registry does not have it, or it is deleted.
        """
        version = self.get(reference)
        self._store.write(partial(deletion.undo_retirement, domain=version.domain, version=version.version))
        return version

    def delete(self, reference: str, grace_days: float = deletion.GRACE_DAYS) -> datetime:
        """Delete a version; returns the time until which it can certainly be restored.

        Raises:
            NotRegisteredError: the registry does not have it, or it is deleted already.
            RegistryError: an alias points to it, or the number of days is invalid.
        """
        if not 0 <= grace_days <= _MOST_DAYS:  # not a number is neither
            raise RegistryError(f"`grace_days` {grace_days}: expected days from 0 to {_MOST_DAYS}")
        version = self.get(reference)
        grace = timedelta(days=grace_days)
        return self._store.write(partial(deletion.delete, domain=version.domain, version=version.version, grace=grace))

    def restore(self, reference: str) -> ModelVersion:
        """Bring back a deleted version, named like ``medical@3``.

        Raises:
            NotRegisteredError: the registry does not have it, or it is purged.
            InvalidNameError: the reference names no version.
        """
        wanted = parse_reference(reference)
        if wanted.version is None:
            raise InvalidNameError(f"{reference!r}: name the deleted version, as {wanted.domain}@NUMBER")
        self._store.write(partial(deletion.restore, domain=wanted.domain, version=wanted.version))
        return self.get(reference)

    def collect(self, dry_run: bool = False) -> Collected:
        """Purge versions past their grace period, and remove artifacts that nothing refers to; others may publish.

        Args:
            dry_run: only say what would be removed.

        Raises:
            RegistryError: the registry cannot be written.
        """
        return (what_to_collect if dry_run else collect)(self._store.engine, self._store.artifacts)

    def history(self, domain: str, alias: str | None = None) -> list[Move]:
        """Every move of a domain's aliases, or of one of them, in the order in which they were recorded."""
        check_domain(domain)
        with self._store.reading() as connection:
            return history(connection, domain, None if alias is None else check_alias(alias))

    def at(self, domain: str, time: datetime) -> dict[str, int]:
        """Alias to version number as they were at a time; one without a time zone is in UTC."""
        return at(self.history(domain), time)

    def watch(self) -> Watcher:
        """What waits for changes of the registry by anybody; it sees them within a second. Close it at the end."""
        return Watcher(self._store.generation, self._store.location.database)

    def fetch(self, version: ModelVersion) -> Path:
        """A local folder with the version's files; each was read and checked since it last changed.

        Where ``DOMAIN_ROUTER_TRUSTED_KEYS`` names public keys, one of them must have signed the version.

        Raises:
            DamagedArtifactError: a file is missing, cannot be read, or was changed.
            SignatureError: the version is not signed with a key that is trusted.
            RegistryError: a local copy cannot be made.
        """
        folder = self._store.fetch(version)
        self.signatures.check_trusted(version)
        return folder

    def verify(self, version: ModelVersion) -> list[str]:
        """What is wrong with the version's stored files, one line each; empty if nothing is. Every byte is read.

        Raises:
            RegistryError: the store cannot be reached.
        """
        if digest_of_list(version.files) != version.artifact:
            return [f"the file list does not have the digest {version.artifact}"]
        return self._store.artifacts.verify(version.artifact, version.files)

    def _mover(self, given: Mover | None) -> tuple[str | None, str | None]:
        """The name of who moves an alias, None for the user of this process, and the key that opens it."""
        return (given.name, given.key) if given else (None, self._store.key)

    def _tell(self, published: Published) -> ModelVersion:
        version, alias, previous = published
        self._notify(lambda each: each.version_published(version))
        self._notify(lambda each: each.alias_moved(version.domain, alias, version.version, previous))
        return version

    def _promotable(self, reference: str) -> ModelVersion:
        """The version that is to be promoted; a bare domain means its candidate."""
        return self.get(reference) if "@" in reference else self._candidate(reference)

    def _candidate(self, domain: str) -> ModelVersion:
        try:
            return self.get(f"{domain}@{CANDIDATE}")
        except NotRegisteredError as error:
            if not self.aliases(domain):
                raise
            raise NotRegisteredError(f"{error}; without a candidate, name the version, as {domain}@NUMBER") from error

    def _known(self, domain: str) -> str:
        with self._store.reading() as connection:
            numbers, domains = numbers_of(connection, domain), domains_of(connection)
        if numbers:
            named = ", ".join(f"{alias} is {number}" for alias, number in self.aliases(domain).items())
            return f"it has {_shown([f'{domain}@{number}' for number in numbers])}; {named}"
        return f"registered domains are {_shown(domains)}" if domains else "the registry is empty"

    def _notify(self, notify: Callable[[Observer], None]) -> None:
        try:
            self.webhooks.deliver_new()
        except RegistryError:  # the change is committed, and its events are kept
            log.exception("webhooks: the events of this change could not be sent now")
        for observer in self._observers:
            try:
                notify(observer)
            except Exception:  # the change is committed, and a failing observer cannot undo it
                log.exception("an observer of the registry failed")


def _shown(names: list[str]) -> str:
    """Names in words; of many the last ones."""
    left_out = len(names) - _MOST_SHOWN
    return f"{left_out} more and {', '.join(names[left_out:])}" if left_out > 0 else ", ".join(names)
