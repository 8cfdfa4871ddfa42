"""A registry's database and artifacts, opened when they are needed; what all that works on a registry shares."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, Engine

from registry.errors import DamagedArtifactError
from registry.paths import PathLike
from registry.records import ModelVersion
from registry.storage import database
from registry.storage.artifacts import open_store
from registry.storage.file_lists import digest_of_list
from registry.storage.location import locate

T = TypeVar("T")

KEY_VARIABLE = "DOMAIN_ROUTER_PROMOTE_KEY"
"""The environment variable of the key that opens protected aliases."""


class Store:
    """The database and the artifacts of one registry.

    Attributes:
        location: of both.
        artifacts: the files of all versions.
        key: that opens protected aliases; None for no key.
    """

    def __init__(self, url: PathLike | None) -> None:
        """
        Raises:
            RegistryError: the URL is invalid, or the registry cannot be opened.
            OutputError: no registry is named, and the folder for what is kept on this machine is unknown.
        """
        self.location = locate(url)
        self.artifacts = open_store(self.location.artifacts)
        self.key = os.environ.get(KEY_VARIABLE) or None
        self._opened = database.open_database(self.location.database) if self.location.exists else None

    @property
    def exists(self) -> bool:
        """Whether somebody has created the registry."""
        return self._opened is not None or self.location.exists

    @property
    def engine(self) -> Engine:
        """The database; an empty one as long as nobody has created the registry."""
        if not self.exists:
            return database.empty_database()
        self.create()
        assert self._opened is not None
        return self._opened

    def create(self) -> None:
        """Create the registry, if it does not exist.

        Raises:
            RegistryError: it cannot be written.
        """
        if self._opened is None:
            self._opened = database.open_database(self.location.database)

    def fetch(self, version: ModelVersion) -> Path:
        """A local folder with a version's files; each was read and checked since it last changed.

        Raises:
            DamagedArtifactError: a file is missing, cannot be read, or was changed.
            RegistryError: a local copy cannot be made.
        """
        if digest_of_list(version.files) != version.artifact:
            raise DamagedArtifactError(f"{version.name}: its file list does not have the digest {version.artifact}")
        try:
            return self.artifacts.fetch(version.artifact, version.files)
        except DamagedArtifactError as error:
            raise DamagedArtifactError(f"{version.name}: {error}") from error

    def close(self) -> None:
        """Close the connections to the database."""
        if self._opened:
            self._opened.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection for reading; see :func:`registry.storage.database.reading`."""
        with database.reading(self.engine) as connection:
            yield connection

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run some work in one transaction; see :func:`registry.storage.database.write`."""
        return database.write(self.engine, work)

    def generation(self) -> int:
        """The number that every change of the registry counts up; 0 where nobody has created it.

        Raises:
            RegistryError: the registry cannot be read.
        """
        return database.generation(self.engine) if self.exists else 0
