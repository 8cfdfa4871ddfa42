"""Lets plugins add routes to an HTTP server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from router_plugin.plugins.manager import Plugins, plugins

if TYPE_CHECKING:
    from router_plugin.router import DomainRouter


def add_server_routes(app: Any, router: DomainRouter, loaded: Plugins | None = None) -> None:
    """Call the hook ``register_server_routes`` of every plugin.

    An HTTP server calls this once, after its own routes are there and before it accepts requests.

    Args:
        app: the server's application, whatever its framework.
        router: that the server serves. It stays the same object when it is reloaded.
        loaded: the plugins; by default those of this process.

    Raises:
        PluginError: a plugin failed; the server should not start without the routes that were asked for.
    """
    (loaded or plugins()).all_results("register_server_routes", app=app, router=router)
