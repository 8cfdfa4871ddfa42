"""Routes, from Python or from a YAML file in which a typo is an error with a line."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from registry import GENERAL
from registry.names import check_domain
from registry.paths import PathLike
from registry.shared.strict_yaml import YamlFile, read_yaml, with_exponents
from registry.shared.wording import first_fault
from router_plugin.batches import read_batch
from router_plugin.errors import QueryError, RoutesError

Text = Annotated[str, Field(min_length=1, pattern=r"\S", strict=True)]


class Route(BaseModel):
    """One decision that the router can make.

    Attributes:
        name: unique.
        utterances: example queries, with which queries are compared.
        domain: the domain or domains whose queries may take the route; None for all.
        threshold: minimum cosine; None for the router's own.
        description: for people, and for the domain classifier.
        metadata: anything to keep with the route.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Text
    utterances: tuple[Text, ...] = Field(min_length=1)
    domain: str | tuple[str, ...] | None = None
    threshold: float | None = Field(default=None, ge=-1, le=1, strict=True)
    description: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)

    @field_validator("utterances", mode="before")
    @classmethod
    def _utterances(cls, value: Any) -> tuple[Any, ...]:
        if isinstance(value, (set, frozenset)):  # utterances have no order that means anything
            return tuple(value)
        try:
            return tuple(read_batch(value, "utterances"))
        except QueryError:
            found = "one text" if isinstance(value, str) else type(value).__name__
            raise ValueError(f"expected a list of texts, not {found}") from None

    @field_validator("threshold", mode="before")
    @classmethod
    def _threshold(cls, value: Any) -> Any:
        return with_exponents(value)

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
        """The domains whose queries may take the route; empty for all."""
        if self.domain is None:
            return ()
        return (self.domain,) if isinstance(self.domain, str) else self.domain


class _RoutesFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    routes: list[Route] = Field(min_length=1)


RoutesGiven = Iterable[Route | Mapping[str, Any]] | Route | Mapping[str, Any] | PathLike
"""Routes as callers have them: routes or dicts with their attributes, one of these, or the path of a routes file."""


def read_routes(given: RoutesGiven) -> tuple[Route, ...]:
    """Routes as callers have them.

    Raises:
        RoutesError: they are of another type; a dict is not a route; or a file cannot be read.
    """
    if isinstance(given, (str, os.PathLike)):
        return tuple(load_routes(given))
    if isinstance(given, Route):
        return (given,)
    if isinstance(given, Mapping):
        return read_routes(given["routes"]) if set(given) == {"routes"} else (_read_route(given, "routes"),)
    if isinstance(given, (bytes, bytearray)) or not isinstance(given, Iterable):
        raise RoutesError(f"`routes`: expected routes, or the path of a routes file, not {type(given).__name__}")
    return tuple(_read_route(each, f"routes[{number}]") for number, each in enumerate(given))


def _read_route(given: Any, place: str) -> Route:
    if isinstance(given, Route):
        return given
    if not isinstance(given, Mapping):
        raise RoutesError(f"`{place}`: expected a router_plugin.Route or a dict, not {type(given).__name__}")
    try:
        return Route.model_validate(dict(given))
    except ValidationError as error:
        raise RoutesError(f"`{place}`: {first_fault(error)}") from error


def load_routes(path: PathLike) -> list[Route]:
    """Read a routes file: ``routes:``, a list of mappings with the attributes of :class:`Route`.

    Raises:
        RoutesError: with file, line, what is wrong and what was expected.
    """
    return routes_in(read_yaml(path, RoutesError))


def routes_in(file: YamlFile) -> list[Route]:
    """The routes of a file that was read.

    Raises:
        RoutesError: see :func:`load_routes`.
    """
    try:
        routes = _RoutesFile.model_validate(file.content).routes
    except ValidationError as error:
        raise RoutesError(_explain(file, error)) from error
    seen = set()
    for index, route in enumerate(routes):
        file.refuse_comments(("routes", index, "utterances"), RoutesError)
        if route.name in seen:
            place = file.place(("routes", index, "name"))
            raise RoutesError(f"{place}: duplicate route name {route.name!r}")
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
            raise RoutesError(f"duplicate route name {route.name!r}")
        if unknown := [domain for domain in route.domains if domain not in domains]:
            raise RoutesError(
                f"route {route.name!r}: unknown domain {unknown[0]!r}: expected {', '.join(domains)}, or no domain"
            )
        seen.add(route.name)


def _explain(file: YamlFile, error: ValidationError) -> str:
    errors = error.errors()
    first = next(
        (found for found in errors if found["type"] == "extra_forbidden"), errors[0]
    )  # other errors often follow from a typo
    where = first["loc"]
    problem = first["msg"][0].lower() + first["msg"][1:]
    if first["type"] == "extra_forbidden":
        known = list(Route.model_fields if len(where) > 1 else _RoutesFile.model_fields)
        near = difflib.get_close_matches(str(where[-1]), known, 1)
        meant = f", did you mean {near[0]!r}?" if near else ""
        problem = f"unknown key{meant or ':'} expected {', '.join(known)}"
    elif first["type"] in ("model_type", "model_attributes_type"):
        expected = Route.model_fields if where else _RoutesFile.model_fields
        problem = f"expected a mapping with {', '.join(expected)}"
    elif first["type"] == "string_pattern_mismatch":
        problem = "must not be blank"
    elif first["type"] == "too_short":
        problem = "is empty: expected at least one"
    elif first["type"] == "value_error":
        problem = str(first["ctx"]["error"])
    if first["type"] == "string_type" and (said := file.misread(where)):
        problem = f"expected a string: {said}"
    elif where[-1:] == ("domain",) and (said := _misread_domain(file, where)):
        problem = f"expected a string, or a list of strings: {said}"
    name = ".".join(str(part) for part in where) or "the file"
    return f"{file.place(where)}: {name}: {problem}"


def _misread_domain(file: YamlFile, where: tuple[str | int, ...]) -> str | None:
    """What is read of a domain that is no text, or of the first such domain in a list; None for text."""
    value: Any = file.content
    for part in where:
        value = value[part]
    places = [(*where, number) for number in range(len(value))] if isinstance(value, list) else [where]
    return next(filter(None, map(file.misread, places)), None)
