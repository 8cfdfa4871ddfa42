"""Makes sure that what a command needs is installed."""

from __future__ import annotations

from importlib.util import find_spec

from registry import DomainRouterError


def check_installed(extra: str, *modules: str) -> None:
    """Make sure that libraries are there.

    Raises:
        DomainRouterError: one is not; the message says which extra of ours brings it.
    """
    if missing := [name for name in modules if find_spec(name) is None]:
        raise DomainRouterError(
            f"this command needs {missing[0]}, which is not installed: pip install 'domain-router[{extra}]'"
        )
