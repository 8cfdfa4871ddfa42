"""Changes routes in the text of a routes file.

Comments, order and quotes stay: texts are inserted and removed where the parser says that a list or a key is. If what
comes out does not read as the wanted routes, which unusual YAML may cause, all routes are written anew.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import yaml

from registry.shared.strict_yaml import YamlFile, parse_yaml
from router_plugin.errors import RoutesError
from router_plugin.routes import Route, routes_in
from router_plugin.routes_text.places import end_of_item, reads_as, start_of_line, starts_of, values_of
from router_plugin.routes_text.reading import RoutesText
from router_plugin.routes_text.writing import end_of_line, plain_text, route_text, value_text, written_anew, yaml_text

_COMMENTS = re.compile(r"(?:^[ \t]*(?:#[^\n]*)?(?:\r?\n|\Z))*\Z", re.MULTILINE)
"""Blank lines and comments at the end of a text."""


class RouteChange(NamedTuple):
    """What becomes of a route.

    Attributes:
        before: the route as it is; None for one that is added.
        after: as it is wanted, under the same name or another; None for one that is removed.
    """

    before: Route | None
    after: Route | None

    def of(self, routes: Sequence[Route]) -> tuple[Route, ...]:
        """All routes after the change; a new one is the last."""
        if self.before is None:
            return (*routes, self.after) if self.after else tuple(routes)
        changed = (self.after if each.name == self.before.name else each for each in routes)
        return tuple(each for each in changed if each)


class _Insertion(NamedTuple):
    """A new text in place of what stands between two places of a text."""

    start: int
    end: int
    text: str


def with_utterances(path: Path, text: str, proposed: Sequence[Route]) -> str:
    """The text of a routes file with the utterances, thresholds and domains of other routes.

    Args:
        path: of the file, for error messages.
        text: of the file, with its own ends of lines.
        proposed: the wanted routes; those of other files are ignored. Only their utterances, thresholds and domains may
            differ.

    Raises:
        RoutesError: the text does not hold routes.
    """
    file = parse_yaml(path, text, RoutesError)
    routes = routes_in(file)
    by_name = {route.name: route for route in proposed}
    return _changed(file, routes, [by_name.get(route.name, route) for route in routes])


def with_change(file: RoutesText, change: RouteChange) -> str:
    """The text of a routes file with one route changed, added or removed.

    Only that route is parsed, where its lines can be found.

    Args:
        file: as it is.
        change: of a route as it stands there.

    Raises:
        RoutesError: the text does not hold routes, or none is left.
    """
    found = _with_lines(file, change)
    if found is not None:
        return found
    wanted = change.of(file.routes)
    if not wanted:
        raise RoutesError(f"{file.path.name}: this is its only route, and a routes file has at least one")
    return _changed(parse_yaml(file.path, file.text, RoutesError), file.routes, wanted)


def _with_lines(file: RoutesText, change: RouteChange) -> str | None:
    """The text with the lines of one route changed; None where these cannot be found, or are unusual."""
    path, text = file.path, file.text
    if change.before is None:
        return _with_added(path, text, change.after) if change.after else text
    place = file.place(change.before)
    if place is None:
        return None
    part = text[place]
    if change.after is None:
        kept = _COMMENTS.search(part)
        rest = text[: place.start] + (kept[0] if kept else "") + text[place.stop :]
        return rest if len(file.routes) > 1 else None
    head = f"routes:{end_of_line(text)}"
    edited = _edited(parse_yaml(path, head + part, RoutesError), [change.before], [change.after])
    if edited is None or not reads_as(path, edited, [change.after]):
        return None
    return text[: place.start] + edited.removeprefix(head) + text[place.stop :]


def _with_added(path: Path, text: str, route: Route) -> str | None:
    """The text with another route behind the last one; None where that would not read as both."""
    starts, indent = starts_of(text)
    if not starts:
        return None
    end = end_of_line(text)
    text = text if text.endswith("\n") else text + end
    added, last = route_text(route, indent, end), f"routes:{end}{text[starts[-1] :]}"
    try:
        routes = routes_in(parse_yaml(path, last, RoutesError))
    except RoutesError:
        return None
    return text + added if reads_as(path, last + added, [*routes, route]) else None


def _changed(file: YamlFile, routes: Sequence[Route], wanted: Sequence[Route]) -> str:
    """The text of a file with other routes, which is written anew where their number or its layout needs that."""
    if list(wanted) == list(routes):
        return file.text
    changed = _edited(file, routes, wanted) if len(wanted) == len(routes) else None
    return changed if changed is not None and reads_as(file.path, changed, wanted) else written_anew(file, wanted)


def _edited(file: YamlFile, routes: Sequence[Route], wanted: Sequence[Route]) -> str | None:
    """The text of the file with changes where they belong; None if it is not laid out as expected."""
    root = file.parsed()
    listed = values_of(root).get("routes")
    if not isinstance(listed, yaml.SequenceNode) or len(listed.value) != len(routes):
        return None
    changes: list[_Insertion] = []
    for node, before, after in zip(listed.value, routes, wanted, strict=True):
        if before == after:
            continue
        utterances = values_of(node).get("utterances")
        if not isinstance(utterances, yaml.SequenceNode):
            return None
        for name in ("name", "threshold", "domain"):
            changes += _key(file.text, node, name, getattr(before, name), getattr(after, name))
        changes += _items(file.text, utterances, before.utterances, after.utterances)
    text = file.text
    for change in sorted(changes, reverse=True):
        text = text[: change.start] + change.text + text[change.end :]
    return text


def _key(text: str, route: yaml.MappingNode, name: str, before: object, after: object) -> list[_Insertion]:
    """A value in place of the present one, else in front of the utterances; None removes the line of a key."""
    if before == after:
        return []
    value = values_of(route).get(name)
    if after is None:
        return _without_key(text, route, name)
    written = plain_text(after) if isinstance(after, str) and not route.flow_style else value_text(after)
    if value is not None and value.start_mark.index < value.end_mark.index:
        return [_Insertion(value.start_mark.index, value.end_mark.index, written)]
    if value is not None:
        return [_Insertion(value.start_mark.index, value.start_mark.index, f" {written}")]
    (key,) = (key for key, _ in route.value if key.value == "utterances")
    place = key.start_mark.index
    if not route.flow_style:
        return [_Insertion(place, place, f"{name}: {written}{end_of_line(text)}{' ' * key.start_mark.column}")]
    quoted = f'"{name}"' if key.style == '"' else name
    own_line = text[place - key.start_mark.column : place]
    apart = f",{end_of_line(text)}{own_line}" if own_line.isspace() else ", "
    return [_Insertion(place, place, f"{quoted}: {written}{apart}")]


def _without_key(text: str, route: yaml.MappingNode, name: str) -> list[_Insertion]:
    """Without the lines of a key that has lines of its own; others are left, so that all is written anew."""
    key, value = next(pair for pair in route.value if pair[0].value == name)
    start = start_of_line(text, key)
    if route.flow_style or not text[start : key.start_mark.index].isspace():
        return []
    return [_Insertion(start, end_of_item(text, value), "")]


def _items(text: str, listed: yaml.SequenceNode, before: Sequence[str], after: Sequence[str]) -> Iterator[_Insertion]:
    """Removes items of a list and inserts others; what stands in both keeps its layout."""
    if after[: len(before)] == before:
        if new := after[len(before) :]:
            yield _utterances(text, listed, new)
        return
    if listed.flow_style:
        written = f"[{', '.join(map(yaml_text, after))}]"
        yield _Insertion(listed.start_mark.index, listed.end_mark.index, written)
        return
    indent, end = " " * listed.start_mark.column, end_of_line(text)
    for _, low, high, first, last in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if before[low:high] == after[first:last]:
            continue
        new = "".join(f"{indent}- {plain_text(each)}{end}" for each in after[first:last])
        if low == high:
            at = start_of_line(text, listed.value[low]) if low < len(before) else end_of_item(text, listed.value[-1])
            yield _Insertion(at, at, new if not at or text[at - 1] == "\n" else end + new)
        for number in range(low, high):
            node = listed.value[number]
            yield _Insertion(start_of_line(text, node), end_of_item(text, node), new if number == low else "")


def _utterances(text: str, listed: yaml.SequenceNode, new: Sequence[str]) -> _Insertion:
    """Further items of a list, behind its last one."""
    last = listed.value[-1]
    place, end = last.end_mark.index, end_of_line(text)
    if listed.flow_style:
        own_line = text[last.start_mark.index - last.start_mark.column : last.start_mark.index]
        apart = f",{end}{own_line}" if own_line.isspace() else ", "
        return _Insertion(place, place, "".join(f"{apart}{yaml_text(each)}" for each in new))
    quote: Callable[[str], str] = yaml_text if last.style in ("'", '"') else plain_text
    if last.end_mark.column:  # behind the item, and a comment of its line
        found = text.find("\n", place)
        place = found + 1 if found >= 0 else len(text)
    start = "" if text[:place].endswith("\n") else end
    indent = " " * listed.start_mark.column
    lines = end.join(f"{indent}- {quote(each)}" for each in new)
    return _Insertion(place, place, f"{start}{lines}{'' if start else end}")
