"""Routes, from Python or from a YAML file in which a typo is an error with a line."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from registry import GENERAL
from registry.names import check_domain
from router_plugin.errors import RoutesError

MAX_FILE_BYTES = 32 << 20

Text = Annotated[str, Field(min_length=1, pattern=r"\S")]


class Route(BaseModel):
    """One decision that the router can make.

    Attributes:
        name: what a decision calls it.
        utterances: example queries; a query is as near to the route as to the nearest of them.
        domain: the domain whose queries may take the route, or several; None for every domain's.
        threshold: least cosine for the route; None for the router's own.
        description: for people.
        metadata: anything to keep with the route.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Text
    utterances: tuple[Text, ...] = Field(min_length=1)
    domain: str | tuple[str, ...] | None = None
    threshold: float | None = Field(default=None, ge=-1, le=1, strict=True)
    description: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)

    @field_validator("domain", mode="before")
    @classmethod
    def _domain(cls, value: Any) -> str | tuple[str, ...] | None:
        names = [value] if isinstance(value, str) else value
        if names is None:
            return None
        if not names or not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
            raise ValueError("expected a string, or a list of strings")
        checked = tuple(dict.fromkeys(name if name == GENERAL else check_domain(name) for name in names))
        return checked[0] if len(checked) == 1 else checked

    @property
    def domains(self) -> tuple[str, ...]:
        """The domains whose queries may take the route; empty for every domain's."""
        if self.domain is None:
            return ()
        return (self.domain,) if isinstance(self.domain, str) else self.domain


class _RoutesFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    routes: list[Route] = Field(min_length=1)


def load_routes(path: Path) -> list[Route]:
    """Read a routes file: ``routes:``, a list of mappings with the attributes of :class:`Route`.

    Raises:
        RoutesError: with file, line, what is wrong and what was expected.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise RoutesError(f"{path}: is larger than {MAX_FILE_BYTES >> 20} MiB")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise RoutesError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise RoutesError(f"{path}: is not UTF-8 text") from error
    node = None
    try:
        loader = _StrictLoader(text)
        node = loader.get_single_node()
        content = loader.construct_document(node) if node else None
        routes = _RoutesFile.model_validate(content).routes
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise RoutesError(f"{path}, line {line}: {error.problem}") from error
    except RecursionError as error:
        raise RoutesError(f"{path}: is nested too deeply") from error
    except yaml.YAMLError as error:
        raise RoutesError(f"{path}: is not YAML: {error}") from error
    except ValidationError as error:
        raise RoutesError(_explain(path, node, error)) from error
    except ValueError as error:  # an escape beyond Unicode
        raise RoutesError(f"{path}, line {loader.line + 1}: {error}") from error
    seen = set()
    for index, route in enumerate(routes):
        if route.name in seen:
            line = _line(node, ("routes", index, "name"))
            raise RoutesError(f"{path}, line {line}: route {route.name!r} stands twice")
        seen.add(route.name)
    return routes


def check_routes(routes: Sequence[Route], domains: Sequence[str]) -> None:
    """Make sure that names are distinct and domains known.

    Raises:
        RoutesError: they are not.
    """
    seen = set()
    for route in routes:
        if route.name in seen:
            raise RoutesError(f"route {route.name!r} stands twice: names must be distinct")
        if unknown := [domain for domain in route.domains if domain not in domains]:
            raise RoutesError(
                f"route {route.name!r} is of domain {unknown[0]!r}, which is not registered: "
                f"expected one of {', '.join(domains)}, or none"
            )
        seen.add(route.name)


class _StrictLoader(yaml.SafeLoader):
    """YAML without repeated keys, which SafeLoader swallows, and without aliases, which can grow without bound."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem="aliases are not allowed", problem_mark=mark)
        return super().compose_node(parent, index)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            tag = node.tag.rpartition(":")[2]
            raise yaml.MarkedYAMLError(problem=f"this is no {tag}: {error}", problem_mark=node.start_mark) from error

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key in (pair[0] for pair in node.value if isinstance(node, yaml.MappingNode)):
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise yaml.MarkedYAMLError(problem=f"key {key.value!r} stands twice", problem_mark=key.start_mark)
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def _explain(path: Path, node: yaml.Node | None, error: ValidationError) -> str:
    errors = error.errors()
    first = next((found for found in errors if found["type"] == "extra_forbidden"), errors[0])  # a typo explains others
    where = first["loc"]
    problem = first["msg"][0].lower() + first["msg"][1:]
    if first["type"] == "extra_forbidden":
        known = list(Route.model_fields if len(where) > 1 else _RoutesFile.model_fields)
        near = difflib.get_close_matches(str(where[-1]), known, 1)
        meant = f", did you mean {near[0]!r}?" if near else ""
        problem = f"unknown key{meant} Allowed are {', '.join(known)}"
    elif first["type"] in ("model_type", "model_attributes_type"):
        expected = Route.model_fields if where else _RoutesFile.model_fields
        problem = f"expected a mapping with {', '.join(expected)}"
    elif first["type"] == "string_pattern_mismatch":
        problem = "must not be blank"
    elif first["type"] == "too_short":
        problem = "is empty: expected at least one"
    name = ".".join(str(part) for part in where) or "the file"
    return f"{path}, line {_line(node, where)}: {name}: {problem}"


def _line(node: yaml.Node | None, where: Sequence[str | int]) -> int:
    """The line of the innermost node on the way that validation names."""
    line = node.start_mark.line if node else 0
    for part in where:
        if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
        elif isinstance(node, yaml.MappingNode):
            pair = next((pair for pair in node.value if pair[0].value == part), None)
            if pair is None:
                break
            node = pair[1]
            line = pair[0].start_mark.line
            continue
        else:
            break
        line = node.start_mark.line
    return line + 1
