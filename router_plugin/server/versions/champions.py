"""Keeps a router on the registry's champions and candidates while it serves."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Sequence

from registry import DomainRouterError, ModelVersion, NotRegisteredError
from registry.watching.watcher import Watcher
from router_plugin.router import DomainRouter
from router_plugin.server.reporting.metrics import Metrics
from router_plugin.server.versions.trials import Trials
from router_plugin.serving.domains import ServedDomains

log = logging.getLogger(__name__)

LONGEST_WAIT = 1.0
"""Seconds that a thread waits for changes, and that the end of the server waits for it."""
RETRY = 10.0
"""Seconds until what could not be loaded is tried again, if it is still the same."""


class Champions:
    """Loads what is promoted beside what serves, and changes over when it is ready.

    Attributes:
        fault: why the registry's present champions or candidates are not served; None where they are.
    """

    def __init__(self, router: DomainRouter, trials: Trials, metrics: Metrics) -> None:
        """
        Args:
            router: that serves.
            trials: of candidates beside it.
            metrics: that say what serves.
        """
        self.fault: str | None = None
        self._router, self._trials, self._metrics = router, trials, metrics
        self._failed: dict[str, ModelVersion] | None = None
        self._again = 0.0
        metrics.set_serving({}, self.versions())

    def versions(self) -> dict[str, str]:
        """The model that serves each domain."""
        return self._router.served_domains.versions()

    async def by_age(self, names: Iterable[str]) -> list[str]:
        """Domains in the order in which they were registered, so that a new one is the last; before them those that
        are not, in the order given.

        Raises:
            RegistryError: the registry cannot be read.
        """
        return await asyncio.to_thread(_by_age, self._router.served_domains, list(names))

    async def follow(self, seconds: float) -> None:
        """Serve what the registry has, for ever.

        Args:
            seconds: between two looks at a registry that does not tell of its changes.
        """
        watcher = self._router.served_domains.watch()
        try:
            while True:
                if watcher is None:
                    await asyncio.sleep(seconds)
                    await self.look()
                elif await self._changed(watcher, seconds):
                    await self.look()
        finally:
            if watcher:
                watcher.close()

    async def _changed(self, watcher: Watcher, seconds: float) -> bool:
        """Whether the registry changed, or can be read again; waits for that a while."""
        try:
            changed = await asyncio.to_thread(watcher.wait, min(seconds, LONGEST_WAIT))
        except Exception as error:  # noqa: BLE001  the earlier versions go on serving
            self._report(error)
            return False
        return changed or self.fault is not None

    async def look(self) -> None:
        """Serve what the registry has now. What cannot be loaded leaves the earlier versions serving."""
        wanted: dict[str, ModelVersion] | None = None
        try:
            wanted = await asyncio.to_thread(self._router.served_domains.promoted)
            if wanted != self._failed or time.monotonic() >= self._again:
                await self._take(wanted)
                await asyncio.to_thread(self._trials.take, self._router.state)
                self.fault = self._failed = None
        except Exception as error:  # noqa: BLE001  the earlier versions go on serving
            self._report(error)
            self._failed, self._again = wanted, time.monotonic() + RETRY

    async def _take(self, wanted: dict[str, ModelVersion]) -> None:
        if wanted == self._router.served_domains.champions:
            return
        before = self.versions()
        if await asyncio.to_thread(self._router.reload):
            self._metrics.set_serving(before, self.versions())
            log.info("serving %s", self.versions())

    def _report(self, error: Exception) -> None:
        fault = str(error) if isinstance(error, DomainRouterError) else type(error).__name__
        if fault != self.fault:
            self._metrics.reload_failures.inc()
            log.error("not all present versions can be served, the earlier ones are: %s", fault)
        self.fault = fault


def _by_age(domains: ServedDomains, names: Sequence[str]) -> list[str]:
    def age(name: str) -> tuple[float, str]:
        champion = domains.champions.get(name)
        if champion is None:
            return 0.0, ""
        try:
            first = domains.registered(f"{name}@1")
        except NotRegisteredError:  # a snapshot holds champions only, which stay the same
            first = champion
        return first.created.timestamp(), name

    return sorted(names, key=age)
