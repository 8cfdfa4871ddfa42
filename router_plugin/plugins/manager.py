"""Finds and loads plugins, and calls the hooks so that a failing plugin is named."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import Any, TypeVar

import pluggy

from router_plugin import hookspecs
from router_plugin.errors import PluginError
from router_plugin.plugins.builtin import BUILT_IN

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True)
class Loaded:
    """A plugin that is in use."""

    name: str
    source: str
    hooks: tuple[str, ...]


class Plugins:
    """The built-in plugins and those of installed packages."""

    def __init__(self) -> None:
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self._sources: dict[str, str] = {}
        for name, plugin in BUILT_IN.items():
            self._register(name, plugin, "built in")
        for entry in sorted(entry_points(group=hookspecs.PROJECT), key=lambda entry: entry.name):
            package = f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value
            try:
                plugin = entry.load()
            except Exception as error:
                raise PluginError(f"plugin {entry.name} of {package} cannot be imported: {error!r}") from error
            self._register(entry.name, plugin, package)

    def register(self, plugin: object, name: str) -> None:
        """Add a plugin by hand: a module or an object with hook implementations."""
        self._register(name, plugin, "registered by hand")

    def loaded(self) -> list[Loaded]:
        """Every plugin in use, in the order they were loaded."""
        return [
            Loaded(
                name,
                self._sources[name],
                tuple(sorted(call.name for call in self._manager.get_hookcallers(plugin) or ())),
            )
            for name, plugin in self._manager.list_name_plugin()
            if plugin is not None
        ]

    def choose(self, hook: str, **arguments: Any) -> Any:
        """The answer of the first plugin that has one; third-party plugins are asked before built-in ones.

        Raises:
            PluginError: a plugin raised, or none answered.
        """
        return self.choose_named(hook, **arguments)[1]

    def choose_named(self, hook: str, **arguments: Any) -> tuple[str, Any]:
        """Like :meth:`choose`; the name of the plugin comes before its answer."""
        for implementation in self._implementations(hook):
            answer = self._call(implementation, hook, arguments)
            if answer is not None:
                return implementation.plugin_name, answer
        raise PluginError(f"no plugin answered the hook {hook}")

    def change(self, hook: str, name: str, value: T) -> T:
        """Let every plugin see a value and replace it by one of the same kind.

        Raises:
            PluginError: a plugin raised or answered something else.
        """
        for implementation in self._implementations(hook):
            answer = self._call(implementation, hook, {name: value})
            if answer is None:
                continue
            if not isinstance(answer, type(value)):
                raise PluginError(
                    f"plugin {implementation.plugin_name}: {hook} answered {type(answer).__name__}, "
                    f"expected {type(value).__name__} or None"
                )
            value = answer
        return value

    def tell(self, hook: str, **arguments: Any) -> None:
        """Let every plugin hear of something; one that raises is logged."""
        for implementation in self._implementations(hook):
            try:
                self._call(implementation, hook, arguments)
            except PluginError:
                log.exception("a plugin failed on hearing of something")

    def _register(self, name: str, plugin: object, source: str) -> None:
        if self._manager.has_plugin(name):
            raise PluginError(f"plugin {name} ({source}) cannot be loaded: {self._sources[name]} has the same name")
        try:
            self._manager.register(plugin, name=name)
            self._manager.check_pending()
            for call in self._manager.get_hookcallers(plugin) or ():
                if any(each.plugin is plugin and (each.wrapper or each.hookwrapper) for each in call.get_hookimpls()):
                    raise ValueError(f"{call.name} is a wrapper, and wrappers are not supported")
        except (ValueError, pluggy.PluginValidationError) as error:
            if self._manager.has_plugin(name):
                self._manager.unregister(name=name)
            raise PluginError(f"plugin {name} ({source}) cannot be loaded: {error}") from error
        self._sources[name] = source

    def _implementations(self, hook: str) -> list[pluggy.HookImpl]:
        caller: pluggy.HookCaller = getattr(self._manager.hook, hook)
        return list(reversed(caller.get_hookimpls()))

    def _call(self, implementation: pluggy.HookImpl, hook: str, arguments: dict[str, Any]) -> Any:
        function: Callable[..., Any] = implementation.function
        try:
            return function(**{name: arguments[name] for name in implementation.argnames})
        except PluginError:
            raise
        except Exception as error:
            raise PluginError(f"plugin {implementation.plugin_name} failed in {hook}: {error!r}") from error


@cache
def plugins() -> Plugins:
    """The plugins of this process, loaded at the first call."""
    return Plugins()
