"""Opens a router as the options of a command describe it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from router_plugin.settings import Aggregation, Settings, Strategy

if TYPE_CHECKING:
    from router_plugin.router import DomainRouter


def open_router(
    routes: Sequence[Path],
    registry: str | None,
    extra_domains: Path | None,
    strategy: str,
    single_domain: str,
    aggregation: str,
    fitted: Path | None = None,
    base_model: str | None = None,
    **settings: Any,
) -> DomainRouter:
    """The router.

    Args:
        routes: YAML files.
        registry: folder or URL.
        extra_domains: file of domains without a model; see :func:`router_plugin.load_domains`.
        strategy: see :class:`router_plugin.Settings`, as for the two that follow.
        single_domain: see there.
        aggregation: see there.
        fitted: file that ``routes fit`` wrote.
        base_model: encoder of the general domain.
        settings: other ones.
    """
    from router_plugin.router import DomainRouter
    from router_plugin.routes import load_routes
    from router_plugin.serving.fitting import Fitted

    chosen = Settings(
        strategy=cast("Strategy", strategy),  # which checks it
        single_domain=single_domain,
        aggregation=cast("Aggregation", aggregation),
        **settings,
    )
    known = [route for path in routes for route in load_routes(path)]
    router = DomainRouter(known, registry, base_model=base_model, extra_domains=extra_domains or (), settings=chosen)
    if fitted:
        router.apply(Fitted.load(fitted))
    return router
