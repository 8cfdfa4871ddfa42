"""What a version would decide that does not serve: states of the router with it, of which few are kept."""

from __future__ import annotations

import threading

from registry import InvalidNameError, NotRegisteredError
from router_plugin.router import DomainRouter
from router_plugin.server.errors import OverloadedError, UnknownModelError
from router_plugin.server.versions.trials import Trial, loaded

KEPT = 2
"""States that stay in memory, each with the encoder of its version."""
WAIT = 20.0
"""Seconds that a request waits for a version that another one loads."""


class OtherVersions:
    """Loads versions beside what serves, one at a time. Safe to use from several threads."""

    def __init__(self, router: DomainRouter) -> None:
        """
        Args:
            router: whose other domains are as they serve.
        """
        self._router, self._kept = router, dict[str, Trial]()
        self._lock = threading.Lock()

    def load(self, reference: str) -> Trial:
        """The router with the version that ``medical@2`` or ``medical@candidate`` refers to; waits until it is loaded.

        Raises:
            UnknownModelError: there is no such version.
            OverloadedError: another version is being loaded.
            DomainRouterError: it cannot be loaded.
        """
        try:
            version = self._router.served_domains.registered(reference)
        except (InvalidNameError, NotRegisteredError) as error:
            raise UnknownModelError(str(error), "version") from error
        if not self._lock.acquire(timeout=WAIT):
            raise OverloadedError(int(WAIT))
        try:
            current, known = self._router.state, self._kept.pop(version.name, None)
            trial = known if known and known.champion is current else loaded(version, current)
            self._kept = {**dict([*self._kept.items()][-KEPT + 1 :]), version.name: trial}
            return trial
        finally:
            self._lock.release()
