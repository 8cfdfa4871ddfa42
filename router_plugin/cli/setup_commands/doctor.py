"""``domain-router doctor``: what is right and wrong with this machine, and what to do about it."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

import typer

from router_plugin.cli.options import JsonOption, NewRegistryOption
from router_plugin.cli.printing import print_json, print_table, say

if TYPE_CHECKING:
    from router_plugin.cli.health.findings import Check, Finding
    from router_plugin.cli.terminal.style import Tone

EXAMPLE = "Example: domain-router doctor"

_TONES: dict[str, Tone] = {"ok": "green", "warning": "yellow", "fault": "red"}


def doctor(registry: NewRegistryOption = None, json: JsonOption = False) -> None:
    """Check versions, devices, caches, registry, keys and extras; exit status 1 if there is a fault."""
    found = _findings(registry)
    faults = [each for each in found if each.state == "fault"]
    if json:
        print_json([asdict(each) for each in found])
    else:
        _print(found)
    if faults:
        raise typer.Exit(1)


def _findings(registry: str | None) -> list[Finding]:
    from registry.progress import track
    from router_plugin.cli.health import devices, key_files, packages, places, registries
    from router_plugin.cli.health.findings import findings_of

    checks: dict[str, Check] = {
        "python": packages.python,
        "packages": packages.core,
        "devices": devices.devices,
        "home": places.home,
        "hub cache": places.hub,
        "disk": places.disk,
        "registry": partial(registries.registry, registry),
        "keys": key_files.key_files,
        "extras": packages.extras,
    }
    return [found for name, check in track(checks.items(), "checking") for found in findings_of(name, check)]


def _print(found: list[Finding]) -> None:
    print_table("doctor", ("check", "state", "found"), [(each.check, each.state, each.found) for each in found])
    for each in found:
        if each.advice and each.state != "ok":
            say(f"{each.state}: {each.check}: {each.advice}", _TONES[each.state])
    for each in found:
        if each.advice and each.state == "ok":
            say(f"{each.check}: {each.advice}")
    counts = Counter(each.state for each in found)
    worst = next((state for state in ("fault", "warning") if counts[state]), "ok")
    say(f"{counts['ok']} ok, {counts['warning']} warnings, {counts['fault']} faults", _TONES[worst])
