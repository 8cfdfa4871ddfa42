"""Valid names of domains, aliases and artifact files, and references to versions."""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from registry.errors import InvalidNameError

GENERAL = "general"
"""The reserved domain of the base model."""

DEFAULT_BASE_MODEL = "all-MiniLM-L6-v2"

CHAMPION = "champion"
CANDIDATE = "candidate"

_NAME = re.compile(r"[a-z][a-z0-9]*([_-][a-z0-9]+)*")
_FILE_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_MAX_NAME = 64


def check_name(name: str, kind: str) -> str:
    """Return a name that is lower-case words joined by ``-`` or ``_``.

    Args:
        name: to be checked.
        kind: what it names, for the error.

    Raises:
        InvalidNameError: it is not, or is too long.
    """
    if not isinstance(name, str) or len(name) > _MAX_NAME or not _NAME.fullmatch(name):
        raise InvalidNameError(
            f"{kind} name {name!r} is not allowed: use lower-case letters and digits in words joined by "
            f"- or _, starting with a letter, at most {_MAX_NAME} characters, like 'medical'"
        )
    return name


def check_domain(name: str) -> str:
    """Return a name that models may be registered under.

    Raises:
        InvalidNameError: not lower-case words joined by ``-`` or ``_``, too long, or reserved.
    """
    check_name(name, "domain")
    if name == GENERAL:
        raise InvalidNameError(f"domain {GENERAL!r} is reserved for the base model: choose another name")
    return name


def hub_id(name: str) -> str:
    """The full id of a model on the Hugging Face Hub; the default organisation is sentence-transformers."""
    return name if "/" in name else f"sentence-transformers/{name}"


def check_alias(name: str) -> str:
    """Return a name that an alias may have; raises InvalidNameError otherwise."""
    return check_name(name, "alias")


def check_file(path: str) -> str:
    """Return a path that is relative, in POSIX form, and inside its folder; raises InvalidNameError otherwise."""
    parts = PurePosixPath(path).parts
    if not parts or "/".join(parts) != path or not all(_FILE_PART.fullmatch(part) for part in parts):
        raise InvalidNameError(f"artifact file name {path!r} is not allowed: use plain relative names")
    return path


@dataclass(frozen=True)
class Reference:
    """The parts of ``medical``, ``medical@3`` or ``medical@candidate``."""

    domain: str
    version: int | None = None
    alias: str | None = None


def parse_reference(text: str) -> Reference:
    """Read ``DOMAIN``, ``DOMAIN@VERSION`` or ``DOMAIN@ALIAS``; a bare domain means its champion."""
    domain, at, rest = text.partition("@")
    check_domain(domain)
    if not at:
        return Reference(domain, alias=CHAMPION)
    if rest.isascii() and rest.isdigit():
        if len(rest) > 9 or int(rest) == 0:
            raise InvalidNameError(f"{text!r}: versions count from 1")
        return Reference(domain, version=int(rest))
    return Reference(domain, alias=check_alias(rest))
