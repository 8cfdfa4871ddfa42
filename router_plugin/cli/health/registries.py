"""The registry: whether it opens, what it holds, and what of that is missing. Nothing is written, nor migrated."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from router_plugin.cli.health.findings import Finding, in_units

if TYPE_CHECKING:
    from registry import Registry
    from registry.storage.location import Location


def registry(url: str | None) -> Iterator[Finding]:
    """The registry of a URL, or of the environment."""
    from registry.storage.database import revision_of
    from registry.storage.location import is_known, locate, registry_url
    from registry.storage.tables import HEAD

    if not is_known(registry_url(url)):
        yield from _versions(url, None)
        return
    location = locate(url)
    shown = location.database.render_as_string()
    if not location.exists:
        advice = "'domain-router models add' and 'train --register' create it"
        yield Finding("registry", "ok", f"{shown}: nothing is registered yet", advice)
        return
    revision = revision_of(location.database)
    if revision != HEAD:
        said = f"{shown}: tables of version {revision or 'none'}, this program has {HEAD}"
        yield Finding("registry", "warning", said, "any other command migrates them: make a copy first")
        return
    yield _rights(location, shown)
    yield from _versions(url, location.artifacts)


def _rights(location: Location, shown: str) -> Finding:
    """Whether the files of a local registry may be written."""
    if location.file is None:
        return Finding("registry", "ok", f"{shown}, on a server")
    if os.access(location.file, os.W_OK) and os.access(location.file.parent, os.W_OK):
        return Finding("registry", "ok", f"{shown}, readable and writable")
    advice = "whoever publishes and promotes needs the right to write its folder"
    return Finding("registry", "warning", f"{shown}, readable only", advice)


def _versions(url: str | None, artifacts: str | None) -> Iterator[Finding]:
    """What is registered, and the artifacts, whose place is None where a plugin keeps them."""
    from router_plugin.plugins.registries import open_registry

    store = open_registry(url)
    try:
        versions = store.versions()
        champions = ", ".join(version.name for version in store.champions())
        yield Finding("versions", "ok", f"{len(versions)}; champions: {champions or 'none'}")
        if artifacts is not None:
            yield _artifacts(artifacts, {version.artifact: version.name for version in versions})
            yield from _unused(store)
    finally:
        store.close()


def _artifacts(place: str, names: dict[str, str]) -> Finding:
    """Whether there are files of every version; their digests are for ``models verify``."""
    from registry.storage.artifacts import open_store

    if missing := sorted(names[digest] for digest in names.keys() - set(open_store(place).digests())):
        advice = "restore the files from a copy, or delete the versions; 'domain-router models verify' names each file"
        return Finding("artifacts", "fault", f"missing of {', '.join(missing)}", advice)
    return Finding("artifacts", "ok", f"of all versions in {place}; 'domain-router models verify' reads each file")


def _unused(store: Registry) -> Iterator[Finding]:
    unused = store.collect(dry_run=True)
    if count := len(unused.artifacts) + len(unused.leftovers):
        said = f"{count} artifacts or leftovers, {in_units(unused.freed)}"
        yield Finding("unused files", "warning", said, "'domain-router models gc' removes them")
