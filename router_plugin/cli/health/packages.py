"""Python, the packages that this one requires, and its extras."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata, requires, version

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from router_plugin.cli.health.findings import Finding

NAME = "domain-router"
FOR_DEVELOPERS = "dev"
"""The extra that users do not need."""
_MISSING = "is not installed"


def python() -> Iterator[Finding]:
    """Whether this Python is new enough, and which release this is."""
    wanted = metadata(NAME)["Requires-Python"]
    fits = SpecifierSet(wanted or "").contains(platform.python_version(), prereleases=True)
    found = f"{platform.python_version()} at {sys.executable}"
    yield Finding("python", "ok" if fits else "fault", found, "" if fits else f"install Python {wanted}")
    yield Finding(NAME, "ok", version(NAME))


def core() -> Iterator[Finding]:
    """Which of the packages that every user needs are missing or of another version."""
    wanted = [each for each in _requirements() if each.marker is None or each.marker.evaluate({"extra": ""})]
    faults = list(filter(None, map(_fault, wanted)))
    for each in faults:
        yield Finding("packages", "fault", each, f"pip install --upgrade {NAME}")
    if not faults:
        shown = ", ".join(f"{name} {version(name)}" for name in ("torch", "sentence-transformers", "transformers"))
        yield Finding("packages", "ok", f"all {len(wanted)} as required: {shown}")


def extras() -> Iterator[Finding]:
    """Which extras are installed, and what the others lack."""
    for extra in sorted(metadata(NAME).get_all("Provides-Extra") or ()):
        if extra == FOR_DEVELOPERS:
            continue
        faults = list(filter(None, map(_fault, _of_extra(extra))))
        outdated = [each for each in faults if not each.endswith(_MISSING)]
        said = "; ".join(faults) if faults else "installed"
        advice = f"pip install '{NAME}[{extra}]'" if faults else ""
        needed = f"{'' if outdated or not faults else 'if you need it: '}{advice}"
        yield Finding(f"extra {extra}", "warning" if outdated else "ok", said, needed)


def _requirements() -> list[Requirement]:
    return [Requirement(text) for text in requires(NAME) or ()]


def _of_extra(extra: str) -> Iterator[Requirement]:
    """What an extra requires beyond the core; extras that it names are looked into."""
    for each in _requirements():
        if each.marker is None or each.marker.evaluate({"extra": ""}) or not each.marker.evaluate({"extra": extra}):
            continue
        if each.name == NAME:
            for other in sorted(each.extras):
                yield from _of_extra(other)
        else:
            yield each


def _fault(wanted: Requirement) -> str | None:
    """What is wrong with a package; None if nothing is."""
    try:
        found = version(wanted.name)
    except PackageNotFoundError:
        return f"{wanted.name} {_MISSING}"
    if wanted.specifier.contains(found, prereleases=True):
        return None
    return f"{wanted.name} is {found}, and {wanted.specifier} is required"
