"""Where the page of a domain is, and the registry that has the domain's versions."""

from __future__ import annotations

from contextlib import suppress
from urllib.parse import quote

from registry import InvalidNameError, Registry
from registry.catalog.listing import Filter
from router_plugin.server.console.guard import ROOT
from router_plugin.server.errors import UnknownModelError
from router_plugin.server.service import Service

ADDRESS = f"{ROOT}/domains/{{domain}}"
LARGEST = 999_999_999
"""Number of a version, or of a page."""


def registry_of(service: Service, domain: str) -> Registry | None:
    """The registry that has versions of a domain; None where it is known by what serves it alone.

    Raises:
        UnknownModelError: there is no such domain.
    """
    served = service.router.served_domains
    if isinstance(served.store, Registry):
        with suppress(InvalidNameError):
            if served.store.aliases(domain) or served.store.listed(Filter(domain=domain)):
                return served.store
    if domain not in served.names:
        raise UnknownModelError(f"there is no domain {domain!r}")
    return None


def address_of(domain: str) -> str:
    return f"{ROOT}/domains/{quote(domain, safe='')}"
