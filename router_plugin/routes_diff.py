"""Changes utterances and thresholds in the text of a routes file, and shows the change as a diff.

Comments, order and quotes stay: texts are inserted where the parser says that a list or a key is. If what comes out
does not read as the wanted routes, which unusual YAML may cause, all routes are written anew.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Callable, Sequence
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
        proposed: the wanted routes; those of other files are ignored. Only their utterances and thresholds may differ.

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
    """The text of a routes file with the utterances and thresholds of other routes.

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
    content = {"routes": [_plain(route) for route in wanted]}
    end = "\r\n" if "\r\n" in file.text else "\n"
    if file.syntax == "JSON":
        return json.dumps(content, indent=2, ensure_ascii=False).replace("\n", end) + end
    return str(yaml.safe_dump(content, allow_unicode=True, sort_keys=False, width=10_000, line_break=end))


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
        if not isinstance(utterances, yaml.SequenceNode) or after.utterances[: len(before.utterances)] != (
            before.utterances
        ):
            return None
        changes += _threshold(file.text, node, before.threshold, after.threshold)
        if new := after.utterances[len(before.utterances) :]:
            changes.append(_utterances(file.text, utterances, new))
    text = file.text
    for change in sorted(changes, reverse=True):
        text = text[: change.start] + change.text + text[change.end :]
    return text


def _values(node: yaml.Node | None) -> dict[str, yaml.Node]:
    """The values of a mapping by their keys."""
    return {key.value: value for key, value in node.value} if isinstance(node, yaml.MappingNode) else {}


def _threshold(text: str, route: yaml.MappingNode, before: float | None, after: float | None) -> list[_Insertion]:
    """The threshold in place of the present one, else in front of the utterances."""
    if before == after or after is None:
        return []
    written = repr(after)
    value = _values(route).get("threshold")
    if value is not None and value.start_mark.index < value.end_mark.index:
        return [_Insertion(value.start_mark.index, value.end_mark.index, written)]
    if value is not None:
        return [_Insertion(value.start_mark.index, value.start_mark.index, f" {written}")]
    (key,) = (key for key, _ in route.value if key.value == "utterances")
    place = key.start_mark.index
    if not route.flow_style:
        return [_Insertion(place, place, f"threshold: {written}{_end_of_line(text)}{' ' * key.start_mark.column}")]
    name = '"threshold"' if key.style == '"' else "threshold"
    own_line = text[place - key.start_mark.column : place]
    apart = f",{_end_of_line(text)}{own_line}" if own_line.isspace() else ", "
    return [_Insertion(place, place, f"{name}: {written}{apart}")]


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
