"""Changes utterances, thresholds and domains in the text of a routes file, and shows the change as a diff.

Comments, order and quotes stay: texts are inserted and removed where the parser says that a list or a key is. If what
comes out does not read as the wanted routes, which unusual YAML may cause, all routes are written anew.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from registry.errors import DomainRouterError
from registry.paths import PathLike, local_path
from registry.shared.strict_yaml import YamlFile, parse_yaml
from router_plugin.errors import RoutesError
from router_plugin.routes import Route, routes_in

_ESCAPED = re.compile("[\x7f-\xa0\u00ad\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
"""Characters that YAML does not allow, or takes for the end of a line, or that nobody sees."""
_PLAIN = re.compile(r"[A-Za-z][\w ,.?!'()/-]*[\w.?!)]")
_FIRST = re.compile(r"^routes:[ \t]*(?:#[^\n]*)?\r?\n(?:[ \t]*(?:#[^\n]*)?\r?\n)*([ ]*)- ", re.MULTILINE)
"""The beginning of the first route of a file, with its indent."""
_LINE = re.compile("[^\n]*\n|[^\n]+")


class _Insertion(NamedTuple):
    """A new text in place of what stands between two places of a text."""

    start: int
    end: int
    text: str


def yaml_text(text: str) -> str:
    """A text in double quotes, which YAML and JSON read as it is."""
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(text, ensure_ascii=False))


def routes_diff(path: PathLike, proposed: Sequence[Route]) -> str:
    """A unified diff, as ``patch`` and ``git apply`` take it, from a routes file to the file with other routes.

    Args:
        path: of the file.
        proposed: the wanted routes; those of other files are ignored. Only their utterances, thresholds and domains may
            differ.

    Returns:
        The diff; empty where nothing changes.

    Raises:
        RoutesError: the file cannot be read.
    """
    path = local_path(path, RoutesError)
    text = _raw(path)
    changed = changed_text(path, text, proposed)
    if changed == text:
        return ""
    name = Path(os.path.relpath(path)).as_posix()
    name = path.absolute().as_posix().lstrip("/") if name.startswith("..") else name
    ending = "\t" if " " in name else ""  # so that patch knows where the name ends
    lines = difflib.unified_diff(
        _LINE.findall(text), _LINE.findall(changed), f"a/{name}{ending}", f"b/{name}{ending}", n=3
    )
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def changed_text(path: Path, text: str, proposed: Sequence[Route]) -> str:
    """The text of a routes file with the utterances, thresholds and domains of other routes.

    Args:
        path: of the file, for error messages.
        text: of the file, with its own ends of lines.
        proposed: see :func:`routes_diff`.

    Raises:
        RoutesError: the text does not hold routes.
    """
    file = parse_yaml(path, text, RoutesError)
    routes = routes_in(file)
    by_name = {route.name: route for route in proposed}
    wanted = [by_name.get(route.name, route) for route in routes]
    if wanted == routes:
        return text
    changed = _edited(file, routes, wanted)
    return changed if changed is not None and _reads_as(path, changed, wanted) else _written_anew(file, wanted)


def with_route(path: Path, text: str, before: Route, after: Route) -> str:
    """The text of a routes file with one route changed. Only that route is read, where its lines can be found.

    Args:
        path: of the file, for error messages.
        text: of the file.
        before: the route as it stands there.
        after: as :func:`changed_text` takes it.

    Raises:
        RoutesError: the text does not hold routes.
    """
    place = lines_of(path, text, before)
    if place is None:
        return changed_text(path, text, [after])
    head = f"routes:{_end_of_line(text)}"
    part = head + text[place.start : place.stop]
    changed = _edited(parse_yaml(path, part, RoutesError), [before], [after])
    if changed is None or not _reads_as(path, changed, [after]):
        return changed_text(path, text, [after])
    return text[: place.start] + changed.removeprefix(head) + text[place.stop :]


def lines_of(path: Path, text: str, route: Route) -> slice | None:
    """Where the lines of a route stand in a file in which every route begins on a line of its own; else None."""
    found = _FIRST.search(text)
    if found is None:
        return None
    starts = [each.start() for each in re.finditer(f"^{found[1]}- ", text[found.start(1) :], re.MULTILINE)]
    edges = [found.start(1) + start for start in starts] + [len(text)]
    for start, stop in pairwise(edges):
        part = text[start:stop]
        if route.name in part and _reads_as(path, f"routes:\n{part}", [route]):
            return slice(start, stop)
    return None


def _raw(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except OSError as error:
        raise RoutesError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise RoutesError(f"{path}: is not UTF-8 text") from error


def _reads_as(path: Path, text: str, wanted: Sequence[Route]) -> bool:
    try:
        return routes_in(parse_yaml(path, text, RoutesError)) == list(wanted)
    except DomainRouterError:
        return False


def _written_anew(file: YamlFile, wanted: Sequence[Route]) -> str:
    """All routes, in the syntax of the file, without its comments and layout."""
    end = "\r\n" if "\r\n" in file.text else "\n"
    if file.syntax == "JSON":
        content = {"routes": [_plain(route) for route in wanted]}
        return json.dumps(content, indent=2, ensure_ascii=False).replace("\n", end) + end
    return routes_text(wanted, end)


def routes_text(routes: Sequence[Route], end: str = "\n") -> str:
    """The text of a new routes file."""
    content = {"routes": [_plain(route) for route in routes]}
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    dumped = yaml.dump(content, Dumper=dumper, allow_unicode=True, sort_keys=False, width=10_000, line_break=end)
    return str(dumped)


def _plain(route: Route) -> dict[str, Any]:
    """A route as a file has it, without what is not set."""
    return {name: value for name, value in route.model_dump(mode="json", exclude_defaults=True).items()}


def _edited(file: YamlFile, routes: Sequence[Route], wanted: Sequence[Route]) -> str | None:
    """The text of the file with changes where they belong; None if it is not laid out as expected."""
    root = file.parsed()
    listed = _values(root).get("routes")
    if not isinstance(listed, yaml.SequenceNode) or len(listed.value) != len(routes):
        return None
    changes: list[_Insertion] = []
    for node, before, after in zip(listed.value, routes, wanted, strict=True):
        if before == after:
            continue
        utterances = _values(node).get("utterances")
        if not isinstance(utterances, yaml.SequenceNode):
            return None
        for name in ("threshold", "domain"):
            changes += _key(file.text, node, name, getattr(before, name), getattr(after, name))
        changes += _items(file.text, utterances, before.utterances, after.utterances)
    text = file.text
    for change in sorted(changes, reverse=True):
        text = text[: change.start] + change.text + text[change.end :]
    return text


def _values(node: yaml.Node | None) -> dict[str, yaml.Node]:
    """The values of a mapping by their keys."""
    return {key.value: value for key, value in node.value} if isinstance(node, yaml.MappingNode) else {}


def _key(text: str, route: yaml.MappingNode, name: str, before: object, after: object) -> list[_Insertion]:
    """A value in place of the present one, else in front of the utterances; None removes the line of a key."""
    if before == after:
        return []
    value = _values(route).get(name)
    if after is None:
        return _without_key(text, route, name)
    written = _plain_text(after) if isinstance(after, str) and not route.flow_style else _written(after)
    if value is not None and value.start_mark.index < value.end_mark.index:
        return [_Insertion(value.start_mark.index, value.end_mark.index, written)]
    if value is not None:
        return [_Insertion(value.start_mark.index, value.start_mark.index, f" {written}")]
    (key,) = (key for key, _ in route.value if key.value == "utterances")
    place = key.start_mark.index
    if not route.flow_style:
        return [_Insertion(place, place, f"{name}: {written}{_end_of_line(text)}{' ' * key.start_mark.column}")]
    quoted = f'"{name}"' if key.style == '"' else name
    own_line = text[place - key.start_mark.column : place]
    apart = f",{_end_of_line(text)}{own_line}" if own_line.isspace() else ", "
    return [_Insertion(place, place, f"{quoted}: {written}{apart}")]


def _without_key(text: str, route: yaml.MappingNode, name: str) -> list[_Insertion]:
    """Without the lines of a key that has lines of its own; others are left, so that all is written anew."""
    key, value = next(pair for pair in route.value if pair[0].value == name)
    start = _start_of_line(text, key)
    if route.flow_style or not text[start : key.start_mark.index].isspace():
        return []
    return [_Insertion(start, _end_of_item(text, value), "")]


def _written(value: object) -> str:
    """A threshold, a domain or several of them, as YAML and JSON read it."""
    if isinstance(value, str):
        return yaml_text(value)
    return f"[{', '.join(map(_written, value))}]" if isinstance(value, tuple) else repr(value)


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
    indent, end = " " * listed.start_mark.column, _end_of_line(text)
    for _, low, high, first, last in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if before[low:high] == after[first:last]:
            continue
        new = "".join(f"{indent}- {_plain_text(each)}{end}" for each in after[first:last])
        if low == high:
            at = _start_of_line(text, listed.value[low]) if low < len(before) else _end_of_item(text, listed.value[-1])
            yield _Insertion(at, at, new if not at or text[at - 1] == "\n" else end + new)
        for number in range(low, high):
            node = listed.value[number]
            yield _Insertion(_start_of_line(text, node), _end_of_item(text, node), new if number == low else "")


def _start_of_line(text: str, node: yaml.Node) -> int:
    return text.rfind("\n", 0, node.start_mark.index) + 1


def _end_of_item(text: str, node: yaml.Node) -> int:
    """Behind the line in which a value ends, a comment behind it included."""
    if node.end_mark.column == 0:
        return int(node.end_mark.index)
    found = text.find("\n", node.end_mark.index)
    return found + 1 if found >= 0 else len(text)


def _utterances(text: str, listed: yaml.SequenceNode, new: Sequence[str]) -> _Insertion:
    """Further items of a list, behind its last one."""
    last = listed.value[-1]
    place, end = last.end_mark.index, _end_of_line(text)
    if listed.flow_style:
        own_line = text[last.start_mark.index - last.start_mark.column : last.start_mark.index]
        apart = f",{end}{own_line}" if own_line.isspace() else ", "
        return _Insertion(place, place, "".join(f"{apart}{yaml_text(each)}" for each in new))
    quote: Callable[[str], str] = yaml_text if last.style in ("'", '"') else _plain_text
    if last.end_mark.column:  # behind the item, and a comment of its line
        found = text.find("\n", place)
        place = found + 1 if found >= 0 else len(text)
    start = "" if text[:place].endswith("\n") else end
    indent = " " * listed.start_mark.column
    lines = end.join(f"{indent}- {quote(each)}" for each in new)
    return _Insertion(place, place, f"{start}{lines}{'' if start else end}")


def _plain_text(text: str) -> str:
    """A text without quotes, if it reads as the same text so."""
    if _PLAIN.fullmatch(text) and text.isascii():
        try:
            if yaml.safe_load(f"- {text}") == [text]:
                return text
        except yaml.YAMLError:
            pass
    return yaml_text(text)


def _end_of_line(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"
