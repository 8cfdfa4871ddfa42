"""How routes are written in a routes file, and texts in YAML that JSON reads, too."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import yaml

from registry.shared.strict_yaml import YamlFile
from router_plugin.routes import Route

_ESCAPED = re.compile("[\x7f-\xa0\u00ad\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
"""Characters that YAML does not allow, or takes for the end of a line, or that nobody sees."""
_PLAIN = re.compile(r"[A-Za-z][\w ,.?!'()/-]*[\w.?!)]")


def yaml_text(text: str) -> str:
    """A text in double quotes, which YAML and JSON read as it is."""
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(text, ensure_ascii=False))


def plain_text(text: str) -> str:
    """A text without quotes, if it reads as the same text so."""
    if _PLAIN.fullmatch(text) and text.isascii():
        try:
            if yaml.safe_load(f"- {text}") == [text]:
                return text
        except yaml.YAMLError:
            pass
    return yaml_text(text)


def value_text(value: object) -> str:
    """A threshold, a domain or several of them, as YAML and JSON read it."""
    if isinstance(value, str):
        return yaml_text(value)
    return f"[{', '.join(map(value_text, value))}]" if isinstance(value, tuple) else repr(value)


def route_text(route: Route, indent: str, end: str) -> str:
    """The lines of a new route in a list of routes.

    Args:
        route: to be written.
        indent: before the dash of the list.
        end: of a line.
    """
    known = _plain(route)
    texts = "".join(f"{indent}    - {plain_text(each)}{end}" for each in known.pop("utterances"))
    values = {name: plain_text(each) if isinstance(each, str) else json.dumps(each) for name, each in known.items()}
    keys = f"{end}{indent}  ".join([*(f"{name}: {each}" for name, each in values.items()), "utterances:"])
    return f"{indent}- {keys}{end}{texts}"


def routes_text(routes: Sequence[Route], end: str = "\n") -> str:
    """The text of a new routes file."""
    content = {"routes": [_plain(route) for route in routes]}
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    dumped = yaml.dump(content, Dumper=dumper, allow_unicode=True, sort_keys=False, width=10_000, line_break=end)
    return str(dumped)


def written_anew(file: YamlFile, wanted: Sequence[Route]) -> str:
    """All routes, in the syntax of the file, without its comments and layout."""
    end = end_of_line(file.text)
    if file.syntax == "JSON":
        content = {"routes": [_plain(route) for route in wanted]}
        return json.dumps(content, indent=2, ensure_ascii=False).replace("\n", end) + end
    return routes_text(wanted, end)


def _plain(route: Route) -> dict[str, Any]:
    """A route as a file has it, without what is not set."""
    return {name: value for name, value in route.model_dump(mode="json", exclude_defaults=True).items()}


def end_of_line(text: str) -> str:
    """How the lines of a text end."""
    return "\r\n" if "\r\n" in text else "\n"
