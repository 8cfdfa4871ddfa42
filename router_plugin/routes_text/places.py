"""Where the routes of a routes file stand in its text, and the values of a route."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import yaml

from registry.errors import DomainRouterError
from registry.shared.strict_yaml import parse_yaml
from router_plugin.errors import RoutesError
from router_plugin.routes import Route, routes_in

_FIRST = re.compile(r"^routes:[ \t]*(?:#[^\n]*)?\r?\n(?:[ \t]*(?:#[^\n]*)?\r?\n)*([ ]*)- ", re.MULTILINE)
"""The beginning of the first route of a file, with its indent."""


def starts_of(text: str) -> tuple[list[int], str]:
    """Where every route begins, and the indent of the list.

    Nothing where the file is not a block of routes, each of which begins on a line of its own.
    """
    found = _FIRST.search(text)
    if found is None:
        return [], ""
    starts = re.finditer(f"^{found[1]}- ", text[found.start(1) :], re.MULTILINE)
    return [found.start(1) + each.start() for each in starts], found[1]


def reads_as(path: Path, text: str, wanted: Sequence[Route]) -> bool:
    """Whether a text is a routes file with these routes."""
    try:
        return routes_in(parse_yaml(path, text, RoutesError)) == list(wanted)
    except DomainRouterError:
        return False


def values_of(node: yaml.Node | None) -> dict[str, yaml.Node]:
    """The values of a mapping by their keys."""
    return {key.value: value for key, value in node.value} if isinstance(node, yaml.MappingNode) else {}


def start_of_line(text: str, node: yaml.Node) -> int:
    """Of the line in which a value begins."""
    return text.rfind("\n", 0, node.start_mark.index) + 1


def end_of_item(text: str, node: yaml.Node) -> int:
    """Behind the line in which a value ends, a comment behind it included."""
    if node.end_mark.column == 0:
        return int(node.end_mark.index)
    found = text.find("\n", node.end_mark.index)
    return found + 1 if found >= 0 else len(text)
