"""Registry URLs: where the database is, and where the artifacts are."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from registry.errors import OutputError, RegistryError
from registry.paths import PathLike, local_path
from registry.shared.home import home

VARIABLE = "DOMAIN_ROUTER_REGISTRY"


@dataclass(frozen=True)
class Location:
    """A database and an artifact store."""

    database: URL
    artifacts: str

    @property
    def exists(self) -> bool:
        """Whether the database does; taken for granted of one on a server."""
        return self.file is None or self.file.exists()

    @property
    def file(self) -> Path | None:
        """The database's file; None for a database server, and for a database in memory."""
        if self.database.get_backend_name() != "sqlite" or self.database.database in (None, "", ":memory:"):
            return None
        return Path(str(self.database.database))


def registry_url(url: PathLike | None) -> str:
    """The URL of a registry; for None that of the environment variable ``DOMAIN_ROUTER_REGISTRY``, else the default.

    An empty text counts as None.

    Raises:
        OutputError: the folder for what is kept on this machine is unknown.
    """
    named = ("" if url is None else os.fspath(url), os.environ.get(VARIABLE, ""))
    return next((given for given in named if given.strip()), None) or str(home() / "registry")


def is_known(url: str) -> bool:
    """Whether a URL is one that :func:`locate` resolves: a folder, or a URL whose scheme is that of a database."""
    if is_folder(url):
        return True
    try:
        make_url(url).get_dialect()
    except NoSuchModuleError:
        return False
    except (ArgumentError, ImportError, ValueError):  # which locate explains
        return True
    return True


def locate(url: PathLike | None) -> Location:
    """Resolve a registry URL.

    Args:
        url: a folder (plain or ``file://``), which then holds ``registry.db`` and ``artifacts/``; or a SQLAlchemy
            URL that also names the artifact store, ``sqlite:////srv/registry.db?artifacts=s3://bucket/models``; or
            None for the environment variable ``DOMAIN_ROUTER_REGISTRY``, else ``registry`` in
            :func:`registry.shared.home.home`.

    Raises:
        RegistryError: the URL is invalid.
        OutputError: the folder for what is kept on this machine is unknown.
    """
    given, url = url, registry_url(url)
    if is_folder(url):
        folder = local_path(url, RegistryError, f"registry{_source(given, url)}").absolute()
        if folder.exists() and not folder.is_dir():
            raise RegistryError(f"registry {folder} is a file: expected a folder")
        database = URL.create("sqlite", database=str(folder / "registry.db"))
        return Location(database, str(folder / "artifacts"))
    try:
        database = make_url(url)
        database.get_dialect()
    except (ArgumentError, ImportError, ValueError) as error:
        raise RegistryError(
            f"registry {_without_password(url)!r} is neither a folder nor a database URL: {error}"
        ) from error
    artifacts = database.query.get("artifacts")
    if not isinstance(artifacts, str):
        raise RegistryError(
            f"registry {database.render_as_string()} does not say where the artifacts are: "
            "add ?artifacts=FOLDER or ?artifacts=s3://bucket/prefix"
        )
    if is_folder(artifacts):
        artifacts = str(local_path(artifacts, RegistryError, "artifacts in").absolute())
    if (file := database.database or "").startswith("~") and database.get_backend_name() == "sqlite":
        database = database.set(database=str(local_path(file, RegistryError, "registry")))
    return Location(database.difference_update_query(["artifacts"]), artifacts)


def check_exists(url: PathLike | None) -> None:
    """Make sure that a registry that is to be read exists, or is the default one, or an empty folder for one.

    Raises:
        RegistryError: it is not there, or the URL is invalid.
        OutputError: see :func:`locate`.
    """
    given = registry_url(url)
    location = locate(url)
    if location.exists or (location.file and _is_empty(location.file.parent)) or _is_default(given):
        return
    raise RegistryError(
        f"{given}{_source(url, given)}: no registry found: expected an existing one; 'models add' and "
        "'train --register' create one"
    )


def _source(given: PathLike | None, url: str) -> str:
    """Where a URL is from, in words, if not from the caller."""
    return "" if given is not None and os.fspath(given) == url else f" (from {VARIABLE})"


def _is_default(url: str) -> bool:
    try:
        return url == str(home() / "registry")
    except OutputError:  # the home folder is unknown
        return False


def _is_empty(folder: Path) -> bool:
    try:
        return folder.is_dir() and not any(folder.iterdir())
    except OSError:
        return False


def is_folder(url: str) -> bool:
    """Whether a URL is that of a folder, plain or ``file://``."""
    return "://" not in url or url.lower().startswith("file:")


def _without_password(url: str) -> str:
    return re.sub(r"(://[^:@/]*):.*@", r"\1:***@", url)
