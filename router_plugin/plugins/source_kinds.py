"""The kinds of sources that can be prepared: those of training, ``routes``, and those of plugins."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from registry import DomainRouterError
from router_plugin.errors import PluginError
from router_plugin.plugins.builtin import BUILT_IN
from router_plugin.plugins.manager import FAILURES, Plugins, plugins, said

if TYPE_CHECKING:
    from training import SourceKind


def source_kinds(loaded: Plugins | None = None) -> dict[str, SourceKind]:
    """Every kind of source by name.

    Args:
        loaded: the plugins that are asked; by default those of this process.

    Raises:
        PluginError: a plugin failed, or two plugins define kinds of the same name.
    """
    found: dict[str, SourceKind] = {}
    owners: dict[str, str] = {}
    for plugin, kinds in (loaded or plugins()).all_results("source_kinds"):
        for kind in kinds:
            if kind.name in found:
                raise PluginError(f"plugin {plugin}: source kind {kind.name} is defined by plugin {owners[kind.name]}")
            found[kind.name] = kind if plugin in BUILT_IN else _named_in_errors(kind, plugin)
            owners[kind.name] = plugin
    return found


def find_source_kind(name: str) -> SourceKind:
    """The kind of source of that name.

    Raises:
        SourceError: the name is unknown.
        PluginError: see :func:`source_kinds`.
    """
    from training.errors import SourceError

    known = source_kinds()
    if name not in known:
        raise SourceError(f"`kind` {name}: expected {', '.join(known)}")
    return known[name]


def _named_in_errors(kind: SourceKind, plugin: str) -> SourceKind:
    """The kind, with a reader that names its plugin when it fails."""

    def read(*arguments: Any, **options: Any) -> Any:
        try:
            return kind.read(*arguments, **options)
        except DomainRouterError:  # a mistake in the source
            raise
        except FAILURES as error:
            raise PluginError(f"plugin {plugin} failed to read a source of kind {kind.name}: {said(error)}") from error

    return replace(kind, read=read)
