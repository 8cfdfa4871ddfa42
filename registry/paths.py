"""Paths on this machine as people give them: text, ``Path`` objects, ``file:`` URLs, and ``~`` for a home folder."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import unquote

from pydantic import BeforeValidator

from registry.errors import DomainRouterError

PathLike: TypeAlias = str | os.PathLike[str]
"""What a parameter for a path takes; :func:`local_path` reads it."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(?://)?")
_FILE = re.compile(r"file:(//(localhost(?=/))?)?", re.IGNORECASE)


def local_path(given: PathLike, error: type[DomainRouterError] = DomainRouterError, what: str = "") -> Path:
    """The path that was given, with ``~`` and ``~user`` replaced by a home folder. It need not exist.

    The path that is returned gives itself. ``./~`` is a file of that name.

    Args:
        given: a path, or a ``file:`` URL, whose special characters may be escaped.
        error: the kind of error that is raised.
        what: the path is of, in front of the error's message.

    Raises:
        DomainRouterError: of that kind: nothing was given, it is another URL or no path, or there is no such user.
    """
    text = os.fspath(given)
    try:
        return _read(text, isinstance(given, str))
    except ValueError as fault:
        shown = text if isinstance(text, str) and text.isprintable() and text.strip() else repr(text)
        raise error(f"{what} {shown}: {fault}".strip()) from None


def is_path(given: PathLike) -> bool:
    """Whether it can only be a path on this machine, and not the id of something on the Hugging Face Hub."""
    if not isinstance(given, str):
        return True
    return bool(_FILE.match(given)) or given.startswith(("~", "./", "../", "/")) or given in (".", "..")


def user_home() -> Path | None:
    """The home folder of the user: ``$HOME``, else that of the user database; None where neither names one."""
    given = os.environ.get("HOME", "").strip()
    if given:
        return Path(given)
    try:
        import pwd

        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except (ImportError, KeyError):  # the user of a container may have no entry
        return None


def _read(text: Any, may_be_url: bool) -> Path:
    if not isinstance(text, str) or "\0" in text:
        raise ValueError("expected a path")
    if not text.strip():
        raise ValueError("is empty: expected a path")
    if may_be_url and (scheme := _FILE.match(text)):
        text = unquote(text[scheme.end() :])
    elif may_be_url and "://" in text and _SCHEME.match(text):
        raise ValueError("is a URL: expected a path on this machine")
    first, *rest = Path(text).parts or (text,)
    if not text.startswith("~"):
        return Path(text).absolute() if first.startswith("~") else Path(text)  # a name is never taken for a user later
    if first == "~":
        home = user_home()
        if home is None:
            raise ValueError("your home folder is unknown: set HOME, or give a path without ~")
        return home.joinpath(*rest)
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise ValueError(f"there is no user {first[1:]}: write ./{text} for a file of that name") from None


def _validated(value: Any) -> Any:
    if not isinstance(value, (str, os.PathLike)):
        return value
    try:
        path = local_path(value)
    except DomainRouterError as error:
        raise ValueError(str(error)) from None
    return str(path) if isinstance(value, str) else path  # JSON has paths as text only


AS_PATH = BeforeValidator(_validated)
"""Metadata of a field of options that is a path."""
