"""The model registry: immutable versions per domain, movable aliases, and artifacts checked on every load."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Connection, Engine, Row, select

from registry.aliasing.history import Move, at, history
from registry.aliasing.moves import ROLLBACK, Reason, aliased, author, champion_line, move
from registry.aliasing.standing import check_alive, check_custom, promotable
from registry.catalog import deletion
from registry.catalog.collecting import Collected, collect, what_to_collect
from registry.catalog.listing import Filter, Listed, listed
from registry.catalog.publishing import Published, publish
from registry.errors import (
    DamagedArtifactError,
    ExchangeError,
    InvalidNameError,
    NotRegisteredError,
    RegistryError,
    SignatureError,
)
from registry.exchange.archive import MAX_SIZE, write_archive
from registry.exchange.hub import push
from registry.exchange.importing import Arrived, import_archive, import_from_hub
from registry.gates.promotion import Decision, Request, decide, promote
from registry.names import CANDIDATE, CHAMPION, check_alias, check_domain, parse_reference
from registry.paths import PathLike, local_path
from registry.policies.keys import KEY_VARIABLE, add_key, list_keys, remove_key
from registry.policies.policy import Policy
from registry.policies.stored import StoredPolicy, every_policy, remove_policy, set_policy
from registry.records import ModelRecord, ModelVersion
from registry.shared.wording import first_fault
from registry.signing.manifest import Manifest
from registry.signing.signatures import sign
from registry.signing.stored import keep_signature, kept_signature
from registry.signing.trust import check_trusted, trusted_keys
from registry.storage.artifacts import open_store
from registry.storage.database import empty_database, generation, open_database, reading, write
from registry.storage.file_lists import digest_of, digest_of_list
from registry.storage.location import locate
from registry.storage.tables import aliases, model_versions
from registry.watching.watcher import Watcher
from registry.webhooks.webhooks import Webhooks

log = logging.getLogger(__name__)

_MOST_DAYS = 36500


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
        webhooks: who is told of changes.
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
        self._location = locate(url)
        self.url = self._location.database.render_as_string()
        self._artifacts = open_store(self._location.artifacts)
        self._opened = open_database(self._location.database) if self._location.exists else None
        self._observers = [observer] if observer else []
        self._key = os.environ.get(KEY_VARIABLE) or None
        self.webhooks = Webhooks(lambda: self._engine)

    @classmethod
    def open(cls, url: PathLike | None = None, observer: Observer | None = None) -> Registry:
        """The same as the constructor."""
        return cls(url, observer)

    def create(self) -> None:
        """Create the registry, if it does not exist, before the first publication would.

        Raises:
            RegistryError: it cannot be written.
        """
        if self._opened is None:
            self._opened = open_database(self._location.database)

    def observe(self, observer: Observer) -> None:
        """Notify one more observer of every change made through this object."""
        self._observers.append(observer)

    def use_key(self, key: str) -> None:
        """Open protected aliases with a key; by default it is that of :data:`~registry.policies.keys.KEY_VARIABLE`."""
        self._key = key

    def close(self) -> None:
        """Close the connections to the database."""
        if self._opened:
            self._opened.dispose()

    @property
    def _engine(self) -> Engine:
        """The database; an empty one as long as nobody has created the registry."""
        if self._opened is None and not self._location.exists:
            return empty_database()
        self.create()
        assert self._opened is not None
        return self._opened

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
        return self._tell(publish(self._engine, self._artifacts, folder, record, Reason("publish", why, key=self._key)))

    def export_file(self, version: ModelVersion, path: PathLike, overwrite: bool = False) -> None:
        """Write a version to a single file that another registry imports; the bytes depend on the version alone.

        Raises:
            OutputError: the file exists, or cannot be written.
            DamagedArtifactError: a stored file is not as it was published.
        """
        write_archive(path, version, self.fetch(version), self.signature(version), overwrite)

    def import_file(self, path: PathLike, max_size: int = MAX_SIZE, force: bool = False) -> tuple[ModelVersion, bool]:
        """Register the version in a file as the next one of its domain; also whether it is new here.

        Args:
            path: what :meth:`export_file` wrote.
            max_size: bytes that the model may have.
            force: also if the domain has a version with the same files.

        Raises:
            ExchangeError: the file is damaged, or is not such a file, or its model is too large.
            SignatureError: see :meth:`fetch`.
            RegistryError: it holds files that are not allowed, or the registry cannot be written.
        """
        if not local_path(path, ExchangeError).is_file():
            raise ExchangeError(f"{path} cannot be imported: there is no such file")
        self.create()
        return self._arrived(import_archive(self._engine, self._artifacts, path, max_size, force, self._key))

    def push(self, version: ModelVersion, repository: str, private: bool = False) -> str:
        """Write a version to a repository of the Hugging Face Hub; returns the address of the commit.

        Raises:
            ExchangeError: the Hub cannot be reached or refuses it, or the repository holds something else.
            DamagedArtifactError: a stored file is not as it was published.
        """
        return push(version, self.fetch(version), self.signature(version), repository, private)

    def pull(
        self, repository: str, revision: str | None = None, max_size: int = MAX_SIZE, force: bool = False
    ) -> tuple[ModelVersion, bool]:
        """Register the version in a repository of the Hub that :meth:`push` wrote; also whether it is new here.

        Args:
            repository: ``ORG/NAME``.
            revision: a branch, tag or commit; None for the newest.
            max_size: bytes that the model may have.
            force: also if the domain has a version with the same files.

        Raises:
            ExchangeError: the Hub cannot be reached, or the repository holds no version, or another one than it says.
            SignatureError: see :meth:`fetch`.
            RegistryError: it holds files that are not allowed, or the registry cannot be written.
        """
        self.create()
        return self._arrived(
            import_from_hub(self._engine, self._artifacts, repository, revision, max_size, force, self._key)
        )

    def sign(self, version: ModelVersion, private_key: PathLike) -> str:
        """Sign a version with a key, in place of an earlier signature; returns the Sigstore bundle.

        Raises:
            SignatureError: the key cannot be used, or ``model-signing`` is not installed.
            DamagedArtifactError: a stored file is not as it was published.
        """
        self._artifacts.fetch(version.artifact, version.files)
        bundle = sign(Manifest.of(version), private_key)
        write(self._engine, lambda connection: keep_signature(connection, version.domain, version.version, bundle))
        return bundle

    def signature(self, version: ModelVersion) -> str | None:
        """The signature of a version as a Sigstore bundle; None if it has none."""
        with reading(self._engine) as connection:
            return kept_signature(connection, version.domain, version.version)

    def verify_signature(self, version: ModelVersion, keys: Sequence[PathLike] | None = None) -> Path:
        """Check a version's signature and all its files; returns the public key that fits.

        Args:
            version: to be checked.
            keys: public keys, files in PEM; by default those that this machine trusts.

        Raises:
            SignatureError: it is not signed with one of them, was changed, or no key is named.
            DamagedArtifactError: a stored file is not as it was published.
        """
        known = trusted_keys() if keys is None else [local_path(key, SignatureError) for key in keys]
        if not known:
            raise SignatureError("no public key is named: give one (`key`), or set DOMAIN_ROUTER_TRUSTED_KEYS")
        self._artifacts.fetch(version.artifact, version.files)
        return check_trusted(Manifest.of(version), version.name, self.signature(version), known)

    def versions(self, domain: str | None = None) -> list[ModelVersion]:
        """Every version that is not deleted, oldest first, domain by domain."""
        query = select(model_versions).where(model_versions.c.deleted.is_(None))
        query = query.order_by(model_versions.c.domain, model_versions.c.version)
        if domain is not None:
            query = query.where(model_versions.c.domain == check_domain(domain))
        with reading(self._engine) as connection:
            return [self._read(row) for row in connection.execute(query)]

    def listed(self, wanted: Filter | None = None) -> list[Listed]:
        """The versions that a filter lets pass, domain by domain, oldest first, without their records."""
        with reading(self._engine) as connection:
            return listed(connection, wanted or Filter())

    def get(self, reference: str) -> ModelVersion:
        """The version that ``medical``, ``medical@3`` or ``medical@candidate`` refers to.

        Raises:
            NotRegisteredError: the registry does not have it, or it is deleted.
        """
        wanted = parse_reference(reference)
        number: Any = wanted.version
        if wanted.alias:
            number = (
                select(aliases.c.version)
                .where(aliases.c.domain == wanted.domain, aliases.c.alias == wanted.alias)
                .scalar_subquery()
            )
        query = select(model_versions).where(
            model_versions.c.domain == wanted.domain, model_versions.c.version == number
        )
        with reading(self._engine) as connection:
            row = connection.execute(query).first()
            if row is not None and row.deleted is not None:
                check_alive(connection, row.domain, row.version)
        if row is None:
            raise NotRegisteredError(f"unknown model {reference} in {self.url}: {self._known(wanted.domain)}")
        return self._read(row)

    def find_by_content(self, folder: PathLike) -> ModelVersion | None:
        """The newest version with exactly the files of a model folder; None if no version has them."""
        digest = digest_of(local_path(folder, RegistryError))
        table = model_versions.c
        query = select(model_versions).where(table.artifact == digest, table.deleted.is_(None))
        with reading(self._engine) as connection:
            row = connection.execute(query.order_by(table.domain.desc(), table.version.desc()).limit(1)).first()
        return None if row is None else self._read(row)

    def champions(self) -> list[ModelVersion]:
        """The version that queries of each domain are served with, in order of domain name."""
        query = (
            select(model_versions)
            .join(
                aliases,
                (aliases.c.domain == model_versions.c.domain) & (aliases.c.version == model_versions.c.version),
            )
            .where(aliases.c.alias == CHAMPION)
            .order_by(model_versions.c.domain)
        )
        with reading(self._engine) as connection:
            return [self._read(row) for row in connection.execute(query)]

    def aliases(self, domain: str) -> dict[str, int]:
        """Alias to version number."""
        query = select(aliases.c.alias, aliases.c.version).where(aliases.c.domain == check_domain(domain))
        with reading(self._engine) as connection:
            return {row.alias: row.version for row in connection.execute(query.order_by(aliases.c.alias))}

    def promote(
        self, reference: str, why: str | None = None, *, force: bool = False, announce_vector_space: bool = False
    ) -> ModelVersion:
        """Make a version the champion of its domain; a bare domain means its candidate.

        The policy of the domain, else of the registry, decides. What is promoted is no longer the candidate.

        Args:
            reference: of the version.
            why: for the history.
            force: promote against the policy, which needs `why`. A retired version is not promoted by force either.
            announce_vector_space: the vectors change in kind on purpose; see the rule ``same_space``.

        Raises:
            NotRegisteredError: the registry does not have that version.
            GateError: the version does not hold what the policy demands, or was retired.
            NotPermittedError: the alias is protected from this user.
        """
        version = self._promotable(reference)
        request = Request(why, force, announce_vector_space, self._key)
        previous, _ = promote(self._engine, self._artifacts, version, request)
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
        return version, decide(self._engine, self._artifacts, version, announce_vector_space)

    def rollback(self, domain: str, why: str | None = None) -> ModelVersion:
        """Restore the previous champion; each further call goes back by one more. Those deleted or retired are skipped.

        No policy is asked.

        Raises:
            NotRegisteredError: the domain has no champion, or never had another one.
            NotPermittedError: the alias is protected from this user.
        """

        def go_back(connection: Connection) -> tuple[int, int]:
            line = champion_line(connection, check_domain(domain))
            allowed = promotable(connection, domain)
            earlier = [number for number in line[:-1] if number in allowed and number != line[-1]]
            if not earlier:
                raise NotRegisteredError(f"{domain} has no earlier champion: {self._known(domain)}")
            before, current = earlier[-1], line[-1]
            move(connection, domain, CHAMPION, before, Reason(ROLLBACK, why, key=self._key))
            return before, current

        before, current = write(self._engine, go_back)
        self._notify(lambda each: each.alias_moved(domain, CHAMPION, before, current))
        return self.get(f"{domain}@{before}")

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
            return move(connection, version.domain, alias, version.version, Reason("alias", why, key=self._key))

        previous = write(self._engine, point)
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
            move(connection, domain, alias, None, Reason("alias", why, key=self._key))
            return previous

        previous = write(self._engine, remove)
        self._notify(lambda each: each.alias_moved(domain, alias, None, previous))
        return previous

    def retire(self, reference: str, why: str | None = None) -> ModelVersion:
        """Let a version not be promoted any more, nor be gone back to; it is no longer the candidate.

        Raises:
            NotRegisteredError: the registry does not have it, or it is deleted.
            RegistryError: it is the champion.
        """
        version = self.get(reference)
        work = partial(deletion.retire, domain=version.domain, version=version.version, why=why)
        if write(self._engine, work):
            self._notify(lambda each: each.alias_moved(version.domain, CANDIDATE, None, version.version))
        return version

    def undo_retirement(self, reference: str) -> ModelVersion:
        """Let a version be promoted again.

        Raises:
            NotRegisteredError: the registry does not have it, or it is deleted.
        """
        version = self.get(reference)
        write(self._engine, partial(deletion.undo_retirement, domain=version.domain, version=version.version))
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
        return write(
            self._engine, partial(deletion.delete, domain=version.domain, version=version.version, grace=grace)
        )

    def restore(self, reference: str) -> ModelVersion:
        """Bring back a deleted version, named like ``medical@3``.

        Raises:
            NotRegisteredError: the registry does not have it, or it is purged.
            InvalidNameError: the reference names no version.
        """
        wanted = parse_reference(reference)
        if wanted.version is None:
            raise InvalidNameError(f"{reference!r}: name the deleted version, as {wanted.domain}@NUMBER")
        write(self._engine, partial(deletion.restore, domain=wanted.domain, version=wanted.version))
        return self.get(reference)

    def collect(self, dry_run: bool = False) -> Collected:
        """Purge versions past their grace period, and remove artifacts that nothing refers to; others may publish.

        Args:
            dry_run: only say what would be removed.

        Raises:
            RegistryError: the registry cannot be written.
        """
        return (what_to_collect if dry_run else collect)(self._engine, self._artifacts)

    def history(self, domain: str, alias: str | None = None) -> list[Move]:
        """Every move of a domain's aliases, or of one of them, in the order in which they were recorded."""
        check_domain(domain)
        with reading(self._engine) as connection:
            return history(connection, domain, None if alias is None else check_alias(alias))

    def at(self, domain: str, time: datetime) -> dict[str, int]:
        """Alias to version number as they were at a time; one without a time zone is in UTC."""
        return at(self.history(domain), time)

    def policies(self) -> list[StoredPolicy]:
        """Every policy, that of the whole registry first."""
        with reading(self._engine) as connection:
            return every_policy(connection)

    def set_policy(self, policy: Policy, domain: str | None = None) -> None:
        """Set what versions of a domain, or of every domain that has no policy, must hold to be promoted.

        Raises:
            NotPermittedError: the policy that is in force protects an alias from this user.
            PolicyError: the policy names a role or a key that does not exist.
        """
        scope = None if domain is None else check_domain(domain)
        self.create()
        write(self._engine, lambda connection: set_policy(connection, scope, policy, self._key, author()))

    def remove_policy(self, domain: str | None = None) -> bool:
        """Remove the policy of a domain, or of the whole registry; whether there was one.

        Raises:
            NotPermittedError: it protects an alias from this user.
        """
        scope = None if domain is None else check_domain(domain)
        return write(self._engine, lambda connection: remove_policy(connection, scope, self._key))

    def add_key(self, name: str) -> str:
        """Make a key that a policy may protect aliases by, and return it; the registry keeps its digest alone.

        Raises:
            PolicyError: there is a key of that name.
        """
        self.create()
        return write(self._engine, lambda connection: add_key(connection, name))

    def remove_key(self, name: str) -> None:
        """Remove a key.

        Raises:
            PolicyError: there is no such key, or a policy names it.
        """
        write(self._engine, lambda connection: remove_key(connection, name))

    def keys(self) -> dict[str, datetime]:
        """The names of all keys, and when each was made."""
        with reading(self._engine) as connection:
            return list_keys(connection)

    def generation(self) -> int:
        """The number that every change of the registry counts up; 0 where nobody has created it.

        Raises:
            RegistryError: the registry cannot be read.
        """
        if self._opened is None and not self._location.exists:
            return 0
        return generation(self._engine)

    def watch(self) -> Watcher:
        """What waits for changes of the registry by anybody; it sees them within a second. Close it at the end."""
        return Watcher(self.generation, self._location.database)

    def fetch(self, version: ModelVersion) -> Path:
        """A local folder with the version's files; each was read and checked since it last changed.

        Where ``DOMAIN_ROUTER_TRUSTED_KEYS`` names public keys, one of them must have signed the version.

        Raises:
            DamagedArtifactError: a file is missing, cannot be read, or was changed.
            SignatureError: the version is not signed with a key that is trusted.
            RegistryError: a local copy cannot be made.
        """
        if digest_of_list(version.files) != version.artifact:
            raise DamagedArtifactError(f"{version.name}: its file list does not have the digest {version.artifact}")
        try:
            folder = self._artifacts.fetch(version.artifact, version.files)
        except DamagedArtifactError as error:
            raise DamagedArtifactError(f"{version.name}: {error}") from error
        if keys := trusted_keys():
            check_trusted(Manifest.of(version), version.name, self.signature(version), keys)
        return folder

    def verify(self, version: ModelVersion) -> list[str]:
        """What is wrong with the version's stored files, one line each; empty if nothing is. Every byte is read.

        Raises:
            RegistryError: the store cannot be reached.
        """
        if digest_of_list(version.files) != version.artifact:
            return [f"the file list does not have the digest {version.artifact}"]
        return self._artifacts.verify(version.artifact, version.files)

    def _arrived(self, arrived: Arrived) -> tuple[ModelVersion, bool]:
        if arrived.published:
            self._tell(arrived.published)
        return self.get(f"{arrived.domain}@{arrived.version}"), arrived.published is not None

    def _tell(self, published: Published) -> ModelVersion:
        version, alias, previous = published
        self._notify(lambda each: each.version_published(version))
        self._notify(lambda each: each.alias_moved(version.domain, alias, version.version, previous))
        return version

    def _read(self, row: Row[Any]) -> ModelVersion:
        try:
            return ModelVersion.model_validate(row.record)
        except ValidationError as error:
            raise RegistryError(
                f"the record of {row.domain}@{row.version} in {self.url} cannot be read: "
                f"{first_fault(error)}: another build of domain-router wrote it: upgrade if that is a newer one, "
                "else publish the model again"
            ) from error

    def _promotable(self, reference: str) -> ModelVersion:
        """The version that is to be promoted; a bare domain means its candidate."""
        return self.get(reference) if "@" in reference else self._candidate(reference)

    def _candidate(self, domain: str) -> ModelVersion:
        try:
            return self.get(f"{domain}@{CANDIDATE}")
        except NotRegisteredError as error:
            if not self.versions(domain):
                raise
            raise NotRegisteredError(f"{error}; without a candidate, name the version, as {domain}@NUMBER") from error

    def _known(self, domain: str) -> str:
        known = [version.name for version in self.versions(domain)]
        if known:
            named = ", ".join(f"{alias} is {number}" for alias, number in self.aliases(domain).items())
            return f"it has {', '.join(known)}; {named}"
        domains = sorted({version.domain for version in self.versions()})
        return f"registered domains are {', '.join(domains)}" if domains else "the registry is empty"

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
