"""What is served: the encoder of each domain, and all routes at one time; both made ready at their first use."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from registry import ModelVersion
from router_plugin.candidates import Candidates
from router_plugin.contracts import Encoder
from router_plugin.routes import Route


class ServedDomain:
    """One domain. Safe to use from several threads."""

    def __init__(self, load: Callable[[], Encoder], version: ModelVersion | None = None) -> None:
        self.version = version
        self._load = load
        self._lock = threading.Lock()
        self._encoder: Encoder | None = None

    @property
    def encoder(self) -> Encoder:
        """The encoder of the domain's champion."""
        with self._lock:
            if self._encoder is None:
                self._encoder = self._load()
            return self._encoder


class DomainRoutes:
    """The routes that a domain's queries may take, embedded when the first of them comes. Never changed."""

    def __init__(self, routes: list[Route], domain: ServedDomain) -> None:
        self.routes = routes
        self._domain = domain
        self._lock = threading.Lock()
        self._candidates: Candidates | None = None

    @property
    def candidates(self) -> Candidates:
        """The routes, embedded by the domain's encoder."""
        with self._lock:
            if self._candidates is None:
                self._candidates = Candidates(self.routes, self._domain.encoder)
            return self._candidates


class ServedRoutes:
    """All routes, and each domain's. Never changed: a query that holds them is decided by one set of routes."""

    def __init__(self, routes: tuple[Route, ...], domains: Mapping[str, ServedDomain]) -> None:
        self.routes = routes
        self.by_domain = {
            name: DomainRoutes([route for route in routes if route.domain in (None, name)], domain)
            for name, domain in domains.items()
        }
