"""Opens registries whose changes plugins hear of."""

from registry import ModelVersion, Observer, Registry
from router_plugin.plugins.manager import Plugins, plugins


class _PluginObserver(Observer):
    def __init__(self, listeners: Plugins) -> None:
        self._listeners = listeners

    def version_published(self, version: ModelVersion) -> None:
        self._listeners.notify("version_published", version=version)

    def alias_moved(self, domain: str, alias: str, version: int, previous: int | None) -> None:
        self._listeners.notify("alias_moved", domain=domain, alias=alias, version=version, previous=previous)


def open_registry(url: str | None = None, listeners: Plugins | None = None) -> Registry:
    """A registry; see :meth:`registry.Registry.open`.

    Args:
        url: where it is.
        listeners: the plugins that hear of its changes; by default those of this process.
    """
    return Registry.open(url, _PluginObserver(listeners or plugins()))
