"""Opens the registry of a URL, by the plugin that knows its scheme, and lets plugins observe its changes."""

from __future__ import annotations

import os
from contextlib import ExitStack, closing
from typing import TypeVar

from registry import ModelVersion, Observer, Registry, RegistryError
from registry.paths import PathLike
from registry.storage.location import registry_url
from router_plugin.errors import NoAnswerError, PluginError
from router_plugin.plugins.builtin import BUILT_IN
from router_plugin.plugins.manager import Plugins, plugins

HOOK = "registry_backend"

Store = TypeVar("Store")


class _PluginObserver(Observer):
    def __init__(self, loaded: Plugins) -> None:
        self._loaded = loaded

    def version_published(self, version: ModelVersion) -> None:
        self._loaded.notify("version_published", version=version)

    def alias_moved(self, domain: str, alias: str, version: int | None, previous: int | None) -> None:
        self._loaded.notify("alias_moved", domain=domain, alias=alias, version=version, previous=previous)


def opened(given: Store | PathLike | None, owner: ExitStack, loaded: Plugins | None) -> Store | Registry:
    """A registry as callers have it: as an object, which is answered as it is; or by its folder or URL.

    Args:
        given: None for the default one.
        owner: closes the registry if it is opened here.
        loaded: see :func:`open_registry`.

    Raises:
        RegistryError: it is of another type; or see :func:`open_registry`.
        PluginError: a plugin failed.
    """
    if given is None or isinstance(given, (str, os.PathLike)):
        return owner.enter_context(closing(open_registry(given, loaded)))
    if not hasattr(given, "champions"):
        raise RegistryError(f"`registry`: expected a folder, a URL or a Registry, not {type(given).__name__}")
    return given


def open_registry(url: PathLike | None = None, loaded: Plugins | None = None) -> Registry:
    """A registry; one that does not exist is empty, see :class:`registry.Registry`.

    Args:
        url: a folder, a database URL or a URL of a plugin's; None for the default one. See
            :func:`registry.storage.location.locate`.
        loaded: the plugins that open it and observe its changes; by default those of this process.

    Raises:
        RegistryError: the URL is invalid or its scheme is unknown, or the registry cannot be opened.
        PluginError: a plugin failed.
    """
    loaded, named = loaded or plugins(), registry_url(url)
    try:
        plugin, registry = loaded.first_result(HOOK, url=named)
    except NoAnswerError as error:
        raise RegistryError(_unknown_scheme(named, loaded)) from error
    if not isinstance(registry, Registry):
        raise PluginError(f"plugin {plugin}: {HOOK} answered {type(registry).__name__}, expected Registry or None")
    registry.observe(_PluginObserver(loaded))
    return registry


def _unknown_scheme(url: str, loaded: Plugins) -> str:
    others = [each.name for each in loaded.loaded() if HOOK in each.hooks and each.name not in BUILT_IN]
    return (
        f"registry {url.partition('://')[0]}://: unknown scheme: expected a folder, file://, a database URL such as "
        "sqlite:// or postgresql:// with ?artifacts=, or a URL of a plugin "
        f"({', '.join(others) or 'no installed plugin has any'})"
    )
