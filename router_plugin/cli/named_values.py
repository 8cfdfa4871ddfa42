"""Values on the command line: paths, and what an option takes by name, such as prepared folders from ``NAME=DIR``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from registry import DomainRouterError
from registry.paths import local_path

if TYPE_CHECKING:
    from training.prepared.format import PreparedData


PATH = "<path>"
"""How help shows an option that takes a path."""


def named_path(text: str) -> Path:
    """A path on the command line; see :func:`registry.paths.local_path`.

    Raises:
        typer.BadParameter: it is empty or a URL, or names an unknown user.
    """
    try:
        return local_path(text)
    except DomainRouterError as error:
        raise typer.BadParameter(str(error)) from None


def named(parameter: str, value: str, given: Sequence[str]) -> dict[str, str]:
    """Values by name, each name once.

    Args:
        parameter: of the command, for error messages.
        value: stands for a value there, like ``DIR``.
        given: texts like ``NAME=VALUE``.

    Raises:
        DomainRouterError: a text is not of that form, or a name is given twice.
    """
    return _by_name(parameter, ((text, *_parts(parameter, value, text)) for text in given))


def prepared_sets(parameter: str, given: Sequence[str], value: str = "DIR") -> dict[str, PreparedData]:
    """Prepared folders by name; see :func:`named`."""
    return _read(named(parameter, value, given))


def joined_sets(parameter: str, given: Sequence[str]) -> PreparedData:
    """Prepared folders as one, from ``NAME=DIR`` or ``DIR``, which gets the name of the folder."""
    from training.prepared.joined import join

    return join(_read(_by_name(parameter, ((text, *named_set(parameter, text)) for text in given))))


def named_set(parameter: str, text: str) -> tuple[str, str]:
    """The name and the folder in ``NAME=DIR`` or ``DIR``; see :func:`joined_sets`.

    Raises:
        DomainRouterError: there is no name, or no folder.
    """
    if "=" in text and not local_path(text).is_dir():
        return _parts(parameter, "DIR", text)
    return local_path(text).resolve().name, text


def _parts(parameter: str, value: str, text: str) -> tuple[str, str]:
    name, _, rest = text.partition("=")
    if not name or not rest:
        raise DomainRouterError(f"`{parameter}` {text}: expected NAME={value}")
    return name, rest


def _by_name(parameter: str, parts: Iterable[tuple[str, str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text, name, value in parts:
        if name in found:
            raise DomainRouterError(f"`{parameter}` {text}: duplicate name {name}")
        found[name] = value
    return found


def _read(folders: Mapping[str, str]) -> dict[str, PreparedData]:
    from training.prepared.format import read_prepared

    return {name: read_prepared(folder) for name, folder in folders.items()}
