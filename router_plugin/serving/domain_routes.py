"""All routes at one time, and each domain's with its candidates, embedded at their first use."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from router_plugin.routes import Route
from router_plugin.serving.candidate_store import embed_kept
from router_plugin.serving.candidates import Candidates
from router_plugin.serving.domains import ServedDomains


class DomainRoutes:
    """The routes that a domain's queries may take, embedded when the first of them comes. Never changed.

    Attributes:
        positions: of these routes among all routes, ``(r,)``.
    """

    def __init__(
        self,
        routes: Sequence[Route],
        positions: Sequence[int],
        domain: str,
        domains: ServedDomains,
        before: DomainRoutes | None,
    ) -> None:
        self.positions: NDArray[np.int64] = np.array(positions, dtype=np.int64)
        self._routes = [routes[position] for position in positions]
        self._domain = domain
        self._domains = domains
        self._before = before._newest() if before else None
        self._lock = threading.Lock()
        self._candidates: Candidates | None = None

    def __len__(self) -> int:
        return len(self._routes)

    @property
    def candidates(self) -> Candidates:
        """The routes, at least one, embedded by the domain's encoder."""
        with self._lock:
            if self._candidates is None:
                self._candidates = self.embedded_by(self._domain, self._before)
                self._before = None
            return self._candidates

    def _newest(self) -> Candidates | None:
        """Its candidates, or where no query came for them those of the routes before: never more than one matrix."""
        before = self._before  # first, for a query that comes meanwhile makes the candidates before it lets go of this
        return self._candidates or before

    def embedded_by(self, domain: str, before: Candidates | None = None) -> Candidates:
        """The routes, at least one, embedded by a domain's encoder; see :meth:`Candidates.embedded` for ``before``."""
        name = self._domains.encoded_by[domain]
        with self._domains.encoder(name) as encoder:
            embed = partial(embed_kept, encoder=encoder, version=self._domains.artifacts[name])
            return Candidates.embedded(self._routes, embed, before)


class ServedRoutes:
    """All routes, and each domain's. Never changed: a query that holds them is decided by one set of routes.

    Attributes:
        routes: of all domains.
        thresholds: of each, ``(len(routes),)``; NaN for one without.
        by_domain: of each domain, its own and those of no domain.
        single: all of them, for the encoder that serves alone.
    """

    def __init__(
        self,
        routes: tuple[Route, ...],
        domains: ServedDomains,
        single_domain: str,
        before: ServedRoutes | None = None,
    ) -> None:
        """
        Args:
            routes: checked.
            domains: that queries may be of.
            single_domain: whose encoder serves alone.
            before: routes of the same domains; what is embedded of them is not embedded again.
        """
        self.routes = routes
        self.thresholds = np.array([np.nan if each.threshold is None else each.threshold for each in routes])
        by_name: dict[str | None, list[int]] = defaultdict(list)
        for position, route in enumerate(routes):
            for domain in route.domains or (None,):
                by_name[domain].append(position)
        self.by_domain: dict[str, DomainRoutes] = {}
        for name in domains.names:
            known = before.by_domain[name] if before else None
            self.by_domain[name] = DomainRoutes(routes, sorted(by_name[None] + by_name[name]), name, domains, known)
        known = before.single if before else None
        self.single: DomainRoutes = DomainRoutes(routes, range(len(routes)), single_domain, domains, known)
