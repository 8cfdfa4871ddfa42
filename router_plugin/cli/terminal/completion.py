"""What a shell offers after Tab: domains, versions and aliases of a registry in SQLite, or nothing."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from typing import Any

ASKED = "_DOMAIN_ROUTER_COMPLETE"
"""The variable that a shell sets to get completions."""

_DOMAIN = "_DOMAIN_ROUTER_DOMAIN"
_NAMES = """
SELECT domain, NULL FROM model_versions WHERE deleted IS NULL UNION
SELECT domain, version FROM model_versions WHERE deleted IS NULL UNION
SELECT domain, alias FROM aliases
"""


def complete_reference(ctx: Any, incomplete: str) -> list[str]:
    """Domains, and their versions and aliases, such as ``medical@3``."""
    names = [(domain, of) for domain, of in _names(ctx)]
    if domain := os.environ.get(_DOMAIN):
        return [str(of) for known, of in names if known == domain and of is not None]
    return [domain if of is None else f"{domain}@{of}" for domain, of in names]


def complete_domain(ctx: Any, incomplete: str) -> list[str]:
    """Domains."""
    return [domain for domain, of in _names(ctx) if of is None]


def without_at_sign() -> None:
    """Undo that bash takes an ``@`` for the end of a word: complete what follows it, in the domain before it."""
    if os.environ.get(ASKED) != "complete_bash":
        return
    with suppress(KeyError, ValueError, IndexError):
        words, number = os.environ["COMP_WORDS"].split("\n"), int(os.environ["COMP_CWORD"])
        sign = number if words[number : number + 1] == ["@"] else number - 1
        if sign < 2 or words[sign] != "@":
            return
        os.environ[_DOMAIN] = words[sign - 1]
        os.environ["COMP_WORDS"] = "\n".join([*words[: sign - 1], *words[sign + 1 : number + 1]])
        os.environ["COMP_CWORD"] = str(sign - 1)


def _names(ctx: Any) -> list[tuple[str, Any]]:
    """Domains, each with None and with what may follow it after an ``@``; nothing of a database on a server."""
    from registry import DomainRouterError
    from registry.storage.location import locate

    with suppress(DomainRouterError, OSError, sqlite3.Error):
        file = locate(ctx.params.get("registry")).file
        if file is not None and file.is_file():
            with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True, timeout=1)) as database:
                return sorted(database.execute(_NAMES), key=lambda row: (row[0], row[1] is not None, str(row[1])))
    return []
