"""A domain as it is served: its encoder and its candidates, both made at their first use."""

from __future__ import annotations

import threading
from collections.abc import Callable

from registry import ModelVersion
from router_plugin.candidates import Candidates
from router_plugin.contracts import Encoder
from router_plugin.routes import Route


class ServedDomain:
    """One domain. Safe to use from several threads."""

    def __init__(self, load: Callable[[], Encoder], version: ModelVersion | None = None) -> None:
        self.version = version
        self._load = load
        self._lock = threading.RLock()
        self._encoder: Encoder | None = None
        self._routes: list[Route] = []
        self._candidates: Candidates | None = None

    @property
    def has_routes(self) -> bool:
        """Whether any route is the domain's or everybody's."""
        return bool(self._routes)

    @property
    def encoder(self) -> Encoder:
        """The encoder of the domain's champion."""
        with self._lock:
            if self._encoder is None:
                self._encoder = self._load()
            return self._encoder

    @property
    def candidates(self) -> Candidates:
        """The domain's routes, embedded."""
        with self._lock:
            if self._candidates is None:
                self._candidates = Candidates(self._routes, self.encoder)
            return self._candidates

    def set_routes(self, routes: list[Route]) -> None:
        """Replace the routes; they are embedded when the next query comes."""
        with self._lock:
            self._routes = routes
            self._candidates = None
