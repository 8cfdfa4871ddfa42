"""Registry URLs: where the database is, and where the artifacts are."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from registry.errors import RegistryError
from registry.shared.home import cache_folder, home

VARIABLE = "DOMAIN_ROUTER_REGISTRY"


@dataclass(frozen=True)
class Location:
    """A database, an artifact store, and a folder for local copies of remote artifacts."""

    database: URL
    artifacts: str
    cache: Path


def registry_url(url: str | None) -> str:
    """The URL of a registry; for None that of the environment variable ``DOMAIN_ROUTER_REGISTRY``, else the default.

    Raises:
        OutputError: the folder for what is kept on this machine is unknown.
    """
    return str(url or os.environ.get(VARIABLE) or home() / "registry")


def is_known(url: str) -> bool:
    """Whether a URL is one that :func:`locate` resolves: a folder, or a URL whose scheme is that of a database."""
    scheme, separator, _ = url.partition("://")
    if not separator or scheme == "file":
        return True
    try:
        make_url(url).get_dialect()
    except NoSuchModuleError:
        return False
    except (ArgumentError, ImportError, ValueError):  # which locate explains
        return True
    return True


def locate(url: str | None) -> Location:
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
    url = registry_url(url)
    cache = cache_folder("artifacts")
    scheme, separator, rest = url.partition("://")
    if not separator or scheme == "file":
        folder = _expanded(Path(unquote(rest) if separator else url)).absolute()
        if folder.exists() and not folder.is_dir():
            raise RegistryError(f"registry {folder} is a file: expected a folder")
        database = URL.create("sqlite", database=str(folder / "registry.db"))
        return Location(database, str(folder / "artifacts"), cache)
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
    return Location(database.difference_update_query(["artifacts"]), artifacts, cache)


def is_there(url: str) -> bool:
    """Whether a registry exists, or an empty folder for one; always true for a database server.

    Raises:
        RegistryError: the URL is invalid.
    """
    database = locate(url).database
    if database.get_backend_name() != "sqlite" or database.database in (None, "", ":memory:"):
        return True
    file = Path(str(database.database))
    return file.exists() or (file.parent.is_dir() and not any(file.parent.iterdir()))


def _expanded(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise RegistryError(f"registry {path}: unknown home folder: name the folder without ~") from error


def _without_password(url: str) -> str:
    return re.sub(r"(://[^:@/]*):.*@", r"\1:***@", url)
