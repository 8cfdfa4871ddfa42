"""The model registry: immutable versions per domain, movable aliases, and artifacts checked on every load."""

from __future__ import annotations

import getpass
import logging
from collections.abc import Callable
from datetime import datetime, timezone
from importlib.metadata import version as distribution_version
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Connection, Engine, Row, delete, func, insert, select

from registry.errors import NotRegisteredError, RegistryError
from registry.names import CANDIDATE, CHAMPION, check_domain, parse_reference
from registry.paths import PathLike, local_path
from registry.records import ModelRecord, ModelVersion
from registry.shared.wording import first_fault
from registry.storage.artifacts import open_store
from registry.storage.database import empty_database, open_database, reading, write
from registry.storage.file_lists import digest_of
from registry.storage.location import locate
from registry.storage.tables import alias_moves, aliases, model_versions

log = logging.getLogger(__name__)


class Observer:
    """Is notified of changes in a registry after they were committed. An observer that raises is logged."""

    def version_published(self, version: ModelVersion) -> None:
        """A new version can be loaded."""

    def alias_moved(self, domain: str, alias: str, version: int, previous: int | None) -> None:
        """An alias refers to another version now."""


class Registry:
    """Model versions and aliases of one store. Safe to use from several threads and processes."""

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

    def publish(self, folder: PathLike, record: ModelRecord) -> ModelVersion:
        """Store a model folder as the next version of its domain.

        The first version of a domain becomes its champion, a later one its candidate. A crash at any instant leaves
        either the whole version or nothing visible.

        Raises:
            RegistryError: the folder does not exist, or the registry cannot be written.
        """
        folder = local_path(folder, RegistryError)
        if not folder.is_dir():
            raise RegistryError(f"{folder}: model folder not found")
        artifact, files = self._artifacts.put(folder)
        self.create()

        def add(connection: Connection) -> tuple[ModelVersion, str, int | None]:
            newest = select(func.max(model_versions.c.version)).where(model_versions.c.domain == record.domain)
            version = ModelVersion(
                **record.model_dump(include=set(ModelRecord.model_fields)),
                version=(connection.execute(newest).scalar() or 0) + 1,
                created=_now(),
                author=_author(),
                code_version=distribution_version("domain-router"),
                parent=_aliased(connection, record.domain, CHAMPION),
                artifact=artifact,
                files=files,
            )
            connection.execute(
                insert(model_versions).values(
                    domain=version.domain,
                    version=version.version,
                    created=version.created,
                    record=version.model_dump(mode="json"),
                )
            )
            alias = CANDIDATE if version.parent else CHAMPION
            return version, alias, _move(connection, version.domain, alias, version.version, "publish")

        version, alias, previous = write(self._engine, add)
        self._notify(lambda each: each.version_published(version))
        self._notify(lambda each: each.alias_moved(version.domain, alias, version.version, previous))
        return version

    def versions(self, domain: str | None = None) -> list[ModelVersion]:
        """Every version, oldest first, domain by domain."""
        query = select(model_versions).order_by(model_versions.c.domain, model_versions.c.version)
        if domain is not None:
            query = query.where(model_versions.c.domain == check_domain(domain))
        with reading(self._engine) as connection:
            return [self._read(row) for row in connection.execute(query)]

    def get(self, reference: str) -> ModelVersion:
        """The version that ``medical``, ``medical@3`` or ``medical@candidate`` refers to.

        Raises:
            NotRegisteredError: the registry does not have it.
        """
        wanted = parse_reference(reference)
        with reading(self._engine) as connection:
            number = wanted.version
            if wanted.alias:
                number = _aliased(connection, wanted.domain, wanted.alias)
            row = connection.execute(
                select(model_versions).where(
                    model_versions.c.domain == wanted.domain, model_versions.c.version == number
                )
            ).first()
        if row is None:
            raise NotRegisteredError(f"unknown model {reference} in {self.url}: {self._known(wanted.domain)}")
        return self._read(row)

    def find_by_content(self, folder: PathLike) -> ModelVersion | None:
        """The newest version with exactly the files of a model folder; None if no version has them."""
        digest = digest_of(local_path(folder, RegistryError))
        return next((version for version in reversed(self.versions()) if version.artifact == digest), None)

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

    def promote(self, reference: str) -> ModelVersion:
        """Make a version the champion of its domain; a bare domain means its candidate.

        A candidate that is promoted is no longer the candidate.

        Raises:
            NotRegisteredError: the registry does not have that version.
        """
        version = self.get(reference) if "@" in reference else self._candidate(reference)

        def move(connection: Connection) -> int | None:
            previous = _move(connection, version.domain, CHAMPION, version.version, "promote")
            connection.execute(
                delete(aliases).where(
                    aliases.c.domain == version.domain,
                    aliases.c.alias == CANDIDATE,
                    aliases.c.version == version.version,
                )
            )
            return previous

        previous = write(self._engine, move)
        if previous != version.version:
            self._notify(lambda each: each.alias_moved(version.domain, CHAMPION, version.version, previous))
        return version

    def rollback(self, domain: str) -> ModelVersion:
        """Restore the previous champion; each further call goes back by one more.

        Raises:
            NotRegisteredError: the domain has no champion, or never had another one.
        """

        def move(connection: Connection) -> tuple[int, int]:
            line = _champion_line(connection, check_domain(domain))
            if len(line) < 2:
                raise NotRegisteredError(f"{domain} has no earlier champion: {self._known(domain)}")
            before, current = line[-2:]
            _move(connection, domain, CHAMPION, before, "rollback")
            return before, current

        before, current = write(self._engine, move)
        self._notify(lambda each: each.alias_moved(domain, CHAMPION, before, current))
        return self.get(f"{domain}@{before}")

    def fetch(self, version: ModelVersion) -> Path:
        """A local folder with the version's files, every digest checked just now.

        Raises:
            DamagedArtifactError: a file is missing, cannot be read, or was changed.
            RegistryError: a local copy cannot be made.
        """
        return self._artifacts.fetch(version.artifact, version.files)

    def verify(self, version: ModelVersion) -> list[str]:
        """What is wrong with the version's stored files, one line each; empty if nothing is."""
        return self._artifacts.verify(version.artifact, version.files)

    def _read(self, row: Row[Any]) -> ModelVersion:
        try:
            return ModelVersion.model_validate(row.record)
        except ValidationError as error:
            raise RegistryError(
                f"the record of {row.domain}@{row.version} in {self.url} cannot be read: "
                f"{first_fault(error)}: another build of domain-router wrote it: upgrade if that is a newer one, "
                "else publish the model again"
            ) from error

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
        for observer in self._observers:
            try:
                notify(observer)
            except Exception:  # the change is committed, and a failing observer cannot undo it
                log.exception("an observer of the registry failed")


def _aliased(connection: Connection, domain: str, alias: str) -> int | None:
    query = select(aliases.c.version).where(aliases.c.domain == domain, aliases.c.alias == alias)
    return connection.execute(query).scalar()


def _champion_line(connection: Connection, domain: str) -> list[int]:
    """The domain's champions up to the present one; a rollback removes the last one."""
    query = select(alias_moves.c.version, alias_moves.c.kind).where(
        alias_moves.c.domain == domain, alias_moves.c.alias == CHAMPION
    )
    line: list[int] = []
    for move in connection.execute(query.order_by(alias_moves.c.id)):
        if move.kind == "rollback":
            line.pop()
        else:
            line.append(move.version)
    return line


def _move(connection: Connection, domain: str, alias: str, version: int, kind: str) -> int | None:
    """Point an alias at a version and record the move; returns the version that it pointed at before."""
    previous = _aliased(connection, domain, alias)
    if previous == version:
        return previous
    connection.execute(delete(aliases).where(aliases.c.domain == domain, aliases.c.alias == alias))
    connection.execute(insert(aliases).values(domain=domain, alias=alias, version=version))
    connection.execute(
        insert(alias_moves).values(
            domain=domain,
            alias=alias,
            version=version,
            previous=previous,
            kind=kind,
            moved=_now(),
            author=_author(),
        )
    )
    return previous


def _now() -> datetime:
    return datetime.now(timezone.utc)


def _author() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container's user may have no name
        return "unknown"
