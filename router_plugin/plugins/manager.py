"""Finds and loads plugins, and calls their hooks so that an error names the plugin that failed."""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any, NamedTuple, TypeVar

import pluggy

from registry import DomainRouterError
from router_plugin import hookspecs
from router_plugin.errors import NoAnswerError, PluginError
from router_plugin.plugins.builtin import BUILT_IN

log = logging.getLogger(__name__)

T = TypeVar("T")

OURS = "built in"
"""The source of the plugins that are built in."""

FAILURES = (Exception, SystemExit)
"""What a plugin may raise. One that ends the process would end it without a word."""


@dataclass(frozen=True)
class Loaded:
    """A plugin that is in use."""

    name: str
    source: str
    hooks: tuple[str, ...]


class Answer(NamedTuple):
    """What a plugin answered, and its name."""

    plugin: str
    value: Any


class Plugins:
    """The built-in plugins and those of installed packages.

    Errors that a built-in plugin raises for its user, of class DomainRouterError, pass as they are. Everything else
    that a plugin raises becomes a PluginError that names the plugin.
    """

    def __init__(self, built_in: Mapping[str, object] = BUILT_IN) -> None:
        """
        Args:
            built_in: our own plugins, by name. The hooks of installed packages are called before theirs.

        Raises:
            PluginError: a plugin cannot be imported or registered.
        """
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self._sources: dict[str, str] = {}
        for name, plugin in built_in.items():
            self._register(name, plugin, OURS)
        for entry in sorted(entry_points(group=hookspecs.PROJECT), key=lambda entry: entry.name):
            package = f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value
            try:
                plugin = entry.load()
            except FAILURES as error:
                raise PluginError(f"plugin {entry.name} of {package} cannot be imported: {said(error)}") from error
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

    def first_result(self, hook: str, **arguments: Any) -> Answer:
        """The first answer that is not None; third-party plugins are called before built-in ones.

        Raises:
            NoAnswerError: no plugin answered.
            PluginError: a plugin failed.
        """
        answer: Answer | None = self._caller(hook)(**arguments)
        if answer is None:
            raise NoAnswerError(f"no plugin answered the hook {hook}")
        return answer

    def all_results(self, hook: str, **arguments: Any) -> list[Answer]:
        """The answers of all plugins that are not None, those of built-in plugins first.

        Raises:
            PluginError: a plugin failed.
        """
        called = [(each, _call(each, arguments)) for each in self._implementations(hook)]
        return [Answer(each.plugin_name, value) for each, value in reversed(called) if value is not None]

    def filter(self, hook: str, name: str, value: T) -> T:
        """The value after every plugin has seen it and may have replaced it by one of the same type.

        Args:
            hook: of one argument.
            name: of that argument.
            value: to start with.

        Raises:
            PluginError: a plugin failed, or answered a value of another type.
        """
        for implementation in self._implementations(hook):
            answer = _call(implementation, {name: value})
            if answer is None:
                continue
            if not isinstance(answer, type(value)):
                raise PluginError(
                    f"plugin {implementation.plugin_name}: {hook} answered {type(answer).__name__}, "
                    f"expected {type(value).__name__} or None"
                )
            value = answer
        return value

    def notify(self, hook: str, **arguments: Any) -> None:
        """Call every plugin; one that fails is logged, and the others are called all the same."""
        for implementation in self._implementations(hook):
            try:
                _call(implementation, arguments)
            except DomainRouterError:
                log.exception("observer plugin failed in %s", hook)

    def _register(self, name: str, plugin: object, source: str) -> None:
        if self._manager.has_plugin(name):
            raise PluginError(f"plugin {name} ({source}) cannot be loaded: {self._sources[name]} has the same name")
        try:
            self._manager.register(plugin, name=name)
            self._manager.check_pending()
            for caller in self._manager.get_hookcallers(plugin) or ():
                for implementation in caller.get_hookimpls():
                    if implementation.plugin is plugin:
                        _name_in_errors(implementation, caller, source)
        except (ValueError, pluggy.PluginValidationError) as error:
            if self._manager.has_plugin(name):
                self._manager.unregister(name=name)
            raise PluginError(f"plugin {name} ({source}) cannot be loaded: {error}") from error
        self._sources[name] = source

    def _caller(self, hook: str) -> pluggy.HookCaller:
        caller: pluggy.HookCaller = getattr(self._manager.hook, hook)
        return caller

    def _implementations(self, hook: str) -> list[pluggy.HookImpl]:
        return list(reversed(self._caller(hook).get_hookimpls()))


def said(error: BaseException) -> str:
    """What a plugin raised, in words."""
    return f"it called sys.exit({error.code!r})" if isinstance(error, SystemExit) else repr(error)


def _call(implementation: pluggy.HookImpl, arguments: dict[str, Any]) -> Any:
    return implementation.function(*(arguments[name] for name in implementation.argnames))


def _name_in_errors(implementation: pluggy.HookImpl, caller: pluggy.HookCaller, source: str) -> None:
    """Let pluggy call a function that names the plugin: in what it raises and, of a ``firstresult`` hook, answers."""
    if implementation.wrapper or implementation.hookwrapper:
        raise ValueError(f"{caller.name} is a wrapper, and wrappers are not supported")
    name, function = implementation.plugin_name, implementation.function
    first = bool(caller.spec and caller.spec.opts.get("firstresult"))

    @functools.wraps(function)
    def named(*arguments: Any) -> Any:
        try:
            answer = function(*arguments)
        except PluginError:
            raise
        except DomainRouterError as error:
            if source == OURS:
                raise
            raise PluginError(f"plugin {name} failed in {caller.name}: {error}") from error
        except FAILURES as error:
            raise PluginError(f"plugin {name} failed in {caller.name}: {said(error)}") from error
        return Answer(name, answer) if first and answer is not None else answer

    implementation.function = named  # type: ignore[misc]  # pluggy has no hook around a single implementation


@functools.cache
def plugins() -> Plugins:
    """The plugins of this process, loaded at the first call."""
    return Plugins()
