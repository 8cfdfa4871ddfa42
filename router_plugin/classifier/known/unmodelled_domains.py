"""Domains without a model, known by labelled queries or a description, and served by the base model."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import pydantic

from registry import GENERAL, DomainRouterError
from registry.names import check_domain
from registry.paths import PathLike, local_path
from registry.shared.strict_yaml import YamlFile, read_yaml
from registry.shared.wording import first_fault
from registry.texts.forms import collapsed, text_key
from router_plugin.evaluation.labelled_queries import DOMAIN, read_labelled_queries

_BETWEEN_PHRASES = re.compile(
    r"[.,;:\n\u060c\u061b\u06d4\u0964\u104a\u104b\u1362-\u1365\u17d4\u3001\u3002\uff0c\uff1a\uff1b]| and | or "
)
_YAML = (".yaml", ".yml")

Text = Annotated[str, pydantic.Field(strict=True)]


class UnmodelledDomain(pydantic.BaseModel):
    """A domain without a model, described by example queries, by a text, or by both."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    name: str
    description: Text = ""
    queries: tuple[Text, ...] = ()

    @pydantic.field_validator("name")
    @classmethod
    def _name(cls, value: str) -> str:
        return check_domain(value)

    @pydantic.model_validator(mode="after")
    def _known(self) -> UnmodelledDomain:
        if not self.examples():
            raise ValueError(f"domain {self.name} has neither queries nor a description")
        return self

    def examples(self) -> list[str]:
        """Its queries, and the phrases of its name and description, each once.

        The phrases are not turned into questions, because all domains would share the words of the templates.
        """
        phrases = _BETWEEN_PHRASES.split(self.description)
        name = [re.sub("[-_]", " ", self.name)] if self.description else []
        given = map(collapsed, (*self.queries, *name, *phrases))
        return list({text_key(text): text for text in reversed([*given]) if text_key(text)}.values())[::-1]


def read_domains(given: Any) -> tuple[UnmodelledDomain, ...]:
    """Domains as callers have them: domains, a single one, or the path of a file that :func:`load_domains` reads.

    Raises:
        DomainRouterError: they are of another type, or the file cannot be read.
    """
    if isinstance(given, (str, os.PathLike)):
        return tuple(load_domains(given))
    single = isinstance(given, UnmodelledDomain) or not isinstance(given, Iterable)
    found = (given,) if single else tuple(given)
    for number, each in enumerate(found):
        if not isinstance(each, UnmodelledDomain):
            raise DomainRouterError(
                f"`extra_domains`[{number}]: expected a router_plugin.UnmodelledDomain, not {type(each).__name__}"
            )
    return found


def load_domains(path: PathLike) -> list[UnmodelledDomain]:
    """Load the domains of a YAML file, or of labelled queries.

    Args:
        path: YAML with a list ``domains`` of ``name``, ``description`` and ``queries``; or a file that
            :func:`router_plugin.read_labelled_queries` reads, with the columns ``text`` and ``domain``. Queries of no
            domain are ignored there.

    Raises:
        DomainRouterError: the file cannot be read, or something in it is wrong; with file and line.
    """
    path = local_path(path)
    return _of_yaml(path) if path.suffix.lower() in _YAML else _of_labelled_queries(path)


def _of_yaml(path: Path) -> list[UnmodelledDomain]:
    file = read_yaml(path, DomainRouterError)
    entries = file.content.get("domains") if isinstance(file.content, dict) else None
    if not isinstance(entries, list) or not entries:
        raise DomainRouterError(f"{path}: expected a list 'domains' of name, description and queries")
    domains = [_checked(file, number, entry) for number, entry in enumerate(entries)]
    for number in range(len(domains)):
        file.refuse_comments(("domains", number, "queries"), DomainRouterError)
    check_names(domains, [])
    return domains


def _of_labelled_queries(path: Path) -> list[UnmodelledDomain]:
    queries: dict[str, list[str]] = defaultdict(list)
    for text, domain in zip(*read_labelled_queries(path, DOMAIN), strict=True):
        if domain is not None and domain != GENERAL:
            queries[domain].append(text)
    return [UnmodelledDomain(name=check_domain(name), queries=tuple(texts)) for name, texts in queries.items()]


def _checked(file: YamlFile, number: int, entry: object) -> UnmodelledDomain:
    try:
        return UnmodelledDomain.model_validate(entry)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        where = ("domains", number, *first["loc"])
        said = file.misread(where) if first["type"] == "string_type" else None
        raise DomainRouterError(f"{file.place(where)}: {first_fault(error)}{f': {said}' if said else ''}") from error


def check_names(domains: Sequence[UnmodelledDomain], registered: Sequence[str]) -> None:
    """Make sure that names are distinct, and none is registered.

    Raises:
        DomainRouterError: a name is duplicate, or registered.
    """
    names: set[str] = set(registered)
    for domain in domains:
        if domain.name in registered:
            raise DomainRouterError(
                f"`extra_domains`: domain {domain.name} is registered, and its model knows its queries: leave it out"
            )
        if domain.name in names:
            raise DomainRouterError(f"duplicate domain {domain.name}")
        names.add(domain.name)
