"""Keeps a router on the registry's champions and candidates while it serves."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

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


class Wanted(NamedTuple):
    """What the registry has now.

    Attributes:
        champions: by domain.
        candidates: of the domains that are tried, by domain.
    """

    champions: dict[str, ModelVersion]
    candidates: dict[str, ModelVersion]


class Champions:
    """Loads what is promoted beside what serves, and changes over when it is ready.

    Attributes:
        unread: why the registry cannot be read; empty where it can.
        unloaded: the registry's present champions and candidates that are not served, and why.
    """

    def __init__(self, router: DomainRouter, trials: Trials, metrics: Metrics) -> None:
        """
        Args:
            router: that serves.
            trials: of candidates beside it.
            metrics: that say what serves.
        """
        self.unread = ""
        self.unloaded: dict[str, str] = {}
        self._router, self._trials, self._metrics = router, trials, metrics
        self._failed: Wanted | None = None
        self._again = 0.0
        metrics.set_serving({}, self.versions())

    @property
    def at_fault(self) -> bool:
        """Whether something else is served than the registry has, as far as is known."""
        return bool(self.unread or self.unloaded)

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
            self._report_unread(error)
            return False
        return changed or self.at_fault

    async def look(self) -> None:
        """Serve what the registry has now. What cannot be loaded leaves the earlier versions serving."""
        try:
            wanted = await asyncio.to_thread(self._read)
        except Exception as error:  # noqa: BLE001  the earlier versions go on serving
            self._report_unread(error)
            return
        self.unread = ""
        if wanted == self._failed and time.monotonic() < self._again:
            return
        failed = await self._load(wanted)
        self._failed, self._again = (wanted, time.monotonic() + RETRY) if failed else (None, 0.0)
        self._report_unloaded({name: _said(error) for name, error in failed.items()})

    def _read(self) -> Wanted:
        domains = self._router.served_domains
        return Wanted(domains.promoted(), self._trials.candidates(domains))

    async def _load(self, wanted: Wanted) -> dict[str, Exception]:
        """Serve these; returns those that cannot be loaded, each with its error."""
        failed = await self._take(wanted.champions)
        return failed | await asyncio.to_thread(self._trials.take, wanted.candidates, self._router.state)

    async def _take(self, champions: Mapping[str, ModelVersion]) -> dict[str, Exception]:
        """Serve all of them at once, or where that fails, as many as can be served."""
        served = self._router.served_domains.champions
        changed = [domain for domain in {**served, **champions} if served.get(domain) != champions.get(domain)]
        try:
            await self._serve(champions)
        except Exception as error:  # noqa: BLE001  the earlier versions go on serving
            if len(changed) == 1:
                return {_name(changed[0], champions): error}
        else:
            return {}
        failed: dict[str, Exception] = {}
        for domain in changed:
            present = self._router.served_domains.champions
            wanted = {name: version for name, version in present.items() if name != domain}
            if domain in champions:
                wanted[domain] = champions[domain]
            try:
                await self._serve(wanted)
            except Exception as error:  # noqa: BLE001  likewise
                failed[_name(domain, champions)] = error
        return failed

    async def _serve(self, champions: Mapping[str, ModelVersion]) -> None:
        before = self.versions()
        if await asyncio.to_thread(self._router.reload, champions):
            self._metrics.set_serving(before, self.versions())
            log.info("serving %s", self.versions())

    def _report_unread(self, error: Exception) -> None:
        if not self.unread:
            self._metrics.registry_failures.inc()
        if self.unread != (said := _said(error)):
            log.error("the registry cannot be read, the earlier versions are served: %s", said)
        self.unread = said

    def _report_unloaded(self, failed: dict[str, str]) -> None:
        for name, why in failed.items():
            if self.unloaded.get(name) != why:
                self._metrics.reload_failures.inc()
                log.error("%s cannot be served, the earlier version is: %s", name, why)
        self.unloaded = failed


def _said(error: Exception) -> str:
    return str(error) if isinstance(error, DomainRouterError) else type(error).__name__


def _name(domain: str, champions: Mapping[str, ModelVersion]) -> str:
    """What is not served where the change of a domain cannot be made."""
    return champions[domain].name if domain in champions else f"the router without {domain}"


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
