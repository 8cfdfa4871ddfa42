"""Routes that plugins add to an HTTP server."""

from __future__ import annotations

import pytest

from router_plugin import PluginError, hookimpl
from router_plugin.hosts.server_routes import add_server_routes
from router_plugin.plugins.manager import Plugins


class App:
    """What a server's application has in common with others: handlers by path."""

    def __init__(self):
        self.handlers = {}

    def get(self, path):
        def add(handler):
            self.handlers[path] = handler
            return handler

        return add


class Health:
    @hookimpl
    def register_server_routes(self, app, router):
        @app.get("/health")
        def health():
            return {"domains": router.domains}


class Failing:
    @hookimpl
    def register_server_routes(self, app):
        raise RuntimeError("port taken")


def test_a_plugin_adds_routes_that_use_the_router(router):
    loaded, app = Plugins(), App()
    loaded.register(Health(), "health")
    add_server_routes(app, router, loaded)
    assert app.handlers["/health"]() == {"domains": router.domains}


def test_a_plugin_that_fails_stops_the_server_and_is_named(router):
    loaded = Plugins()
    loaded.register(Failing(), "failing")
    with pytest.raises(PluginError, match="plugin failing failed in register_server_routes.*port taken"):
        add_server_routes(App(), router, loaded)
