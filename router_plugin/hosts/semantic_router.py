"""Two-stage routing as a router of the semantic-router 1.x library."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from pydantic import ValidationError
from semantic_router import Route as HostRoute
from semantic_router.calibration import Calibrator
from semantic_router.routers.base import BaseRouter

from registry import Registry
from registry.shared.wording import first_fault
from router_plugin.errors import RoutesError
from router_plugin.router import DomainRouter
from router_plugin.routes import Route
from router_plugin.settings import Settings

DOMAIN = "domain"
"""The key of a host route's metadata that names its domain or domains."""


class DomainRoutedRouter(BaseRouter):
    """Scores the host's routes by two-stage routing; ``fit``, thresholds, ``Chain`` and ``Merge`` work as usual.

    A route belongs to the domain in ``metadata["domain"]``, or to the domains of such a list, or without it to all.
    Its score is the cosine with the nearest utterance in the space of the query's domain; -1 if it belongs to others.
    """

    def __init__(
        self,
        routes: Sequence[HostRoute] = (),
        registry: Registry | str | None = None,
        *,
        base_model: str | None = None,
        settings: Settings | None = None,
        confidence_threshold: float | None = None,
        calibrator: Calibrator | None = None,
    ) -> None:
        """See :class:`router_plugin.DomainRouter` and semantic-router's ``BaseRouter``."""
        super().__init__(routes, confidence_threshold, calibrator)
        self.domain_router = DomainRouter(_own(self.routes), registry, base_model=base_model, settings=settings)

    def close(self) -> None:
        """Release the models, and the registry if it was opened here; see :meth:`router_plugin.DomainRouter.close`."""
        self.domain_router.close()

    async def _scores(self, query: str) -> dict[str, float]:
        return (await self._scores_many([query]))[0]

    async def _scores_many(self, queries: Sequence[str]) -> list[dict[str, float]]:
        return await asyncio.to_thread(self.domain_router.scores, queries)

    async def _on_add(self, routes: list[HostRoute]) -> None:
        try:
            await asyncio.to_thread(self.domain_router.set_routes, _own(self.routes))
        except Exception:  # passed on to the caller; the routes are as before
            self.routes = self.routes[: len(self.routes) - len(routes)]
            raise

    async def _on_remove(self, name: str) -> None:
        await asyncio.to_thread(self.domain_router.set_routes, _own(self.routes))


def _own(routes: Sequence[HostRoute]) -> list[Route]:
    return [_own_route(route) for route in routes]


def _own_route(route: HostRoute) -> Route:
    try:
        return Route(
            name=route.name,
            utterances=tuple(route.utterances),
            domain=route.metadata.get(DOMAIN),
            description=route.description,
        )
    except ValidationError as error:
        raise RoutesError(f"route {route.name!r}: {first_fault(error)}") from error
