"""``domain-router plugins``: lists the loaded plugins."""

from __future__ import annotations

from dataclasses import asdict

from router_plugin.cli.options import JsonOption
from router_plugin.cli.printing import print_json, print_table

EXAMPLE = "Example: domain-router plugins"


def plugins(json: JsonOption = False) -> None:
    """List the loaded plugins: their packages, and the hooks they implement."""
    from router_plugin.plugins.manager import plugins as load

    loaded = load().loaded()
    if json:
        print_json([asdict(plugin) for plugin in loaded])
    else:
        print_table("plugins", ("name", "from", "hooks"), [(p.name, p.source, ", ".join(p.hooks)) for p in loaded])
