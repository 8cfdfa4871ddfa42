"""All routes at one time, and each domain's with its candidates, embedded at their first use."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from router_plugin.candidates import Candidates
from router_plugin.encoder_pool import EncoderPool
from router_plugin.routes import Route


class DomainRoutes:
    """The routes that a domain's queries may take, embedded when the first of them comes. Never changed."""

    def __init__(self, routes: list[Route], encoder: str, encoders: EncoderPool) -> None:
        self.routes = routes
        self._encoder = encoder
        self._encoders = encoders
        self._lock = threading.Lock()
        self._candidates: Candidates | None = None

    @property
    def candidates(self) -> Candidates:
        """The routes, embedded by the domain's encoder."""
        with self._lock:
            if self._candidates is None:
                with self._encoders.use(self._encoder) as encoder:
                    self._candidates = Candidates(self.routes, encoder)
            return self._candidates


class ServedRoutes:
    """All routes, and each domain's. Never changed: a query that holds them is decided by one set of routes."""

    def __init__(self, routes: tuple[Route, ...], encoded_by: Mapping[str, str], encoders: EncoderPool) -> None:
        """
        Args:
            routes: of all domains.
            encoded_by: of each domain, the one whose encoder serves it.
            encoders: of the latter.
        """
        self.routes = routes
        self.by_domain = {
            name: DomainRoutes([route for route in routes if route.domain in (None, name)], encoder, encoders)
            for name, encoder in encoded_by.items()
        }
