"""Routes of the library: read from what callers have, and as routes of ours with the domains that they name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydantic import ValidationError
from semantic_router import Route as HostRoute

from registry.shared.wording import first_fault
from router_plugin.errors import RoutesError
from router_plugin.routes import Route

DOMAIN = "domain"
"""The key of a host route's metadata that names its domain or domains."""


def read_host_routes(routes: Iterable[HostRoute] | HostRoute) -> list[HostRoute]:
    """The routes as a list.

    Raises:
        RoutesError: something is no route of the library's.
    """
    if isinstance(routes, HostRoute):
        return [routes]
    if isinstance(routes, (str, bytes, dict)) or not isinstance(routes, Iterable):
        raise RoutesError(f"`routes`: expected routes of semantic_router, not {type(routes).__name__}")
    found = list(routes)
    for number, each in enumerate(found):
        if not isinstance(each, HostRoute):
            raise RoutesError(f"`routes[{number}]`: expected a semantic_router.Route, not {type(each).__name__}")
    return found


def own_routes(routes: Sequence[HostRoute]) -> list[Route]:
    """The same routes as ours.

    Raises:
        RoutesError: one has no utterances, utterances that are not text, or malformed domains.
    """
    return [own_route(route) for route in routes]


def own_route(route: HostRoute) -> Route:
    """The same route as one of ours; see :func:`own_routes`."""
    try:
        return Route(
            name=route.name,
            utterances=tuple(route.utterances),
            domain=route.metadata.get(DOMAIN),
            description=route.description,
        )
    except ValidationError as error:
        raise RoutesError(f"route {route.name!r}: {first_fault(error)}") from error
