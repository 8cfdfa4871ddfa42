"""What several pages ask of the server: its jobs, versions in its registry, and the numbers in a field."""

from __future__ import annotations

from fastapi import Request

from registry import Registry, RegistryError
from registry.catalog.listing import Filter, Listed
from router_plugin.server.console.jobs import Jobs
from router_plugin.server.service import Service


def jobs_of(request: Request) -> Jobs:
    """The jobs of the console."""
    jobs: Jobs = request.app.state.jobs
    return jobs


def listed_versions(service: Service, wanted: Filter) -> list[Listed]:
    """Registered versions, the newest first; none where the registry cannot be read, of which there is an alarm."""
    store = service.router.served_domains.store
    if not isinstance(store, Registry):
        return []
    try:
        return store.listed(wanted)[::-1]
    except RegistryError:
        return []


def read_numbers(text: str, digits: int) -> list[int]:
    """The whole numbers in a field, which are separated by commas; others are left out.

    Args:
        text: of the field.
        digits: that a number has at most.
    """
    return [int(each) for each in text.split(",") if each.isascii() and each.isdigit() and len(each) <= digits]
