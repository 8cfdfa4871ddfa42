"""The text of a routes file with its routes: another text of the file is read without parsing all of it again."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from registry.errors import DomainRouterError
from registry.shared.strict_yaml import parse_yaml
from router_plugin.errors import RoutesError
from router_plugin.routes import Route, routes_in
from router_plugin.routes_text.places import starts_of

if TYPE_CHECKING:
    from typing_extensions import Self


class RoutesText:
    """A routes file as it was read. Never changed.

    Attributes:
        path: of the file.
        text: of the file.
    """

    def __init__(self, path: Path, text: str, routes: Sequence[Route] | None = None) -> None:
        """
        Args:
            path: of the file.
            text: of the file, with its own ends of lines.
            routes: that it holds, where the caller knows them; otherwise they are parsed when they are asked for.
        """
        self.path, self.text = path, text
        if routes is not None:
            self.__dict__["routes"] = tuple(routes)

    @cached_property
    def routes(self) -> tuple[Route, ...]:
        """What it holds.

        Raises:
            RoutesError: that is no routes, see :func:`router_plugin.load_routes`.
        """
        return tuple(routes_in(parse_yaml(self.path, self.text, RoutesError)))

    def place(self, route: Route) -> slice | None:
        """Where the lines of one of the routes stand; None where not every route begins on a line of its own."""
        places = zip(self.routes, self._places, strict=False)
        return next((place for known, place in places if known.name == route.name and known == route), None)

    def with_text(self, text: str) -> Self:
        """The file with another text. Where every route begins on a line of its own, only those that differ are parsed.

        Raises:
            RoutesError: it holds no routes.
        """
        found = type(self)(self.path, text, self._routes_of(text))
        _ = found.routes
        return found

    @cached_property
    def _places(self) -> list[slice]:
        """Of each route; nothing where that cannot be found out."""
        places = places_in(self.text)
        return places if len(places) == len(self.routes) else []

    def _routes_of(self, text: str) -> list[Route] | None:
        """The routes of another text; None where it must be parsed as a whole, or has a fault."""
        mine, places = self._places, places_in(text)
        if not mine or not places or self.text[: mine[0].start] != text[: places[0].start]:
            return None
        known = {self.text[place]: route for place, route in zip(mine, self.routes, strict=True)}
        found: dict[str, Route] = {}
        for part in (text[place] for place in places):
            route = known.get(part) or _only_route(self.path, part)
            if route is None or route.name in found:
                return None
            found[route.name] = route
        return list(found.values())


def places_in(text: str) -> list[slice]:
    """Where each route stands, from the line where it begins to that of the next one; see :func:`starts_of`."""
    return [slice(*pair) for pair in pairwise([*starts_of(text)[0], len(text)])]


def _only_route(path: Path, part: str) -> Route | None:
    """The route that the lines of one hold; None where they hold something else."""
    try:
        routes = routes_in(parse_yaml(path, f"routes:\n{part}", RoutesError))
    except DomainRouterError:
        return None
    return routes[0] if len(routes) == 1 else None
