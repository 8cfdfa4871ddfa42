"""Opens the router that the options of a command describe, and makes sure that what serves it is installed."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from registry import DomainRouterError

if TYPE_CHECKING:
    from router_plugin.router import DomainRouter
    from router_plugin.settings import Settings


def open_router(
    routes: Sequence[Path],
    registry: str | None,
    extra_domains: Path | None,
    settings: Settings,
    fitted: Path | None = None,
    base_model: str | None = None,
) -> DomainRouter:
    """The router.

    Args:
        routes: YAML files.
        registry: folder or URL.
        extra_domains: file of domains without a model; see :func:`router_plugin.load_domains`.
        settings: how queries are routed.
        fitted: file that ``routes fit`` wrote.
        base_model: encoder of the general domain.
    """
    from router_plugin.evaluation.fitted import Fitted
    from router_plugin.router import DomainRouter
    from router_plugin.routes import load_routes

    known = [route for path in routes for route in load_routes(path)]
    router = DomainRouter(known, registry, base_model=base_model, extra_domains=extra_domains or (), settings=settings)
    if fitted:
        from router_plugin.tuning.tuner import Tuner

        Tuner(router).apply(Fitted.load(fitted))
    return router


def check_installed(extra: str, *modules: str) -> None:
    """Make sure that libraries are there.

    Raises:
        DomainRouterError: one is not; the message says which extra of ours brings it.
    """
    if missing := [name for name in modules if find_spec(name) is None]:
        raise DomainRouterError(
            f"this command needs {missing[0]}, which is not installed: pip install 'domain-router[{extra}]'"
        )
