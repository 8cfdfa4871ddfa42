"""Opens the router that options of a command or of a deployment describe, with what was fitted for it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from registry.paths import AS_PATH
from registry.shared.options import Options, Shown
from router_plugin.errors import SettingsError

if TYPE_CHECKING:
    from router_plugin.plugins.manager import Plugins
    from router_plugin.router import DomainRouter
    from router_plugin.settings import Settings


class RouterParts(Options):
    """What a router is opened from, besides its settings.

    Raises:
        SettingsError: an unknown part, or a value of another type.
    """

    error = SettingsError

    routes: Annotated[
        tuple[Annotated[Path, AS_PATH], ...], Field(description="YAML file of routes."), Shown(metavar="<path>")
    ] = (Path("routes.yaml"),)
    extra_domains: Annotated[
        Path | None,
        AS_PATH,
        Field(
            description="Domains that have no model yet: YAML of names, descriptions and queries, or a file of "
            "labelled queries."
        ),
    ] = None
    fitted: Annotated[Path | None, AS_PATH, Field(description="File that 'routes fit' wrote.")] = None
    base_model: Annotated[
        str | None, Field(description="Encoder of the general domain."), Shown(default="the champions' base model")
    ] = None
    registry: Annotated[
        str | None,
        Field(
            description="Folder or URL of the registry; default: $DOMAIN_ROUTER_REGISTRY, else "
            "~/.domain-router/registry."
        ),
    ] = None

    def router(self, settings: Settings, plugin_manager: Plugins | None = None) -> DomainRouter:
        """The router.

        Args:
            settings: how queries are routed.
            plugin_manager: by default the plugins of this process.

        Raises:
            DomainRouterError: it cannot be opened.
        """
        from router_plugin.evaluation.fitted import Fitted
        from router_plugin.router import DomainRouter
        from router_plugin.routes import load_routes

        router = DomainRouter(
            [route for path in self.routes for route in load_routes(path)],
            self.registry,
            base_model=self.base_model,
            extra_domains=self.extra_domains or (),
            settings=settings,
            plugin_manager=plugin_manager,
        )
        if self.fitted:
            from router_plugin.tuning.tuner import Tuner

            Tuner(router).apply(Fitted.load(self.fitted))
        return router
