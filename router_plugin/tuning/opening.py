"""Opens the router that options of a command or of a deployment describe, with what was fitted for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from router_plugin.plugins.manager import Plugins
    from router_plugin.router import DomainRouter
    from router_plugin.settings import Settings


def open_router(
    routes: Sequence[Path],
    registry: str | None,
    extra_domains: Path | None,
    settings: Settings,
    fitted: Path | None = None,
    base_model: str | None = None,
    plugin_manager: Plugins | None = None,
) -> DomainRouter:
    """The router.

    Args:
        routes: YAML files.
        registry: folder or URL.
        extra_domains: file of domains without a model; see :func:`router_plugin.load_domains`.
        settings: how queries are routed.
        fitted: file that ``routes fit`` wrote.
        base_model: encoder of the general domain.
        plugin_manager: by default the plugins of this process.
    """
    from router_plugin.evaluation.fitted import Fitted
    from router_plugin.router import DomainRouter
    from router_plugin.routes import load_routes

    known = [route for path in routes for route in load_routes(path)]
    router = DomainRouter(
        known,
        registry,
        base_model=base_model,
        extra_domains=extra_domains or (),
        settings=settings,
        plugin_manager=plugin_manager,
    )
    if fitted:
        from router_plugin.tuning.tuner import Tuner

        Tuner(router).apply(Fitted.load(fitted))
    return router
