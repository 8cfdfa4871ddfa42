"""A YAML file of a command's options: what ``--config`` reads and ``--print-config`` writes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError
from pydantic_core import to_jsonable_python

from registry import DomainRouterError
from registry.shared.options import adapter, any_of, fault
from registry.shared.strict_yaml import read_yaml

if TYPE_CHECKING:
    from pathlib import Path

    import typer
    from pydantic.fields import FieldInfo


_EXPONENT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+")
"""Numbers like 5e-5, which YAML 1.1 takes for text, because they have no point or the exponent has no sign."""


class ConfigError(DomainRouterError):
    """A file of options cannot be read, or something in it is wrong."""


def read_config(path: Path, parameters: Iterable[Any], types: Mapping[str, FieldInfo]) -> dict[str, Any]:
    """The options in a file, by parameter; those that are null are not given.

    Args:
        path: YAML file; its keys are the long flags of options without dashes in front, with underscores.
        parameters: of the command.
        types: of the values, by parameter.

    Raises:
        ConfigError: with file and line: an unknown option, or a value of another type or out of range.
    """
    file = read_yaml(path, ConfigError)
    content = {} if file.content is None else file.content
    if not isinstance(content, dict):
        raise ConfigError(f"{file.place(())}: expected options, like 'name: value'")
    known = {_key(parameter): str(parameter.name) for parameter in parameters if parameter.name in types}
    values = {}
    for key, value in content.items():
        if key not in known:
            raise ConfigError(f"{file.place((key,))}: unknown option {key!r}: expected {any_of(sorted(known))}")
        field = types[known[key]]
        if said := _fault(field, value):
            number = _with_numbers(value)
            if _fault(field, number):
                raise ConfigError(f"{file.place((key,))}: {key} {value!r}: {said}")
            value = number
        pairs = isinstance(value, dict)
        values[known[key]] = [f"{name}={each}" for name, each in value.items()] if pairs else value
    return values


def _fault(field: FieldInfo, value: Any) -> str | None:
    """What is wrong with a value; None if nothing is."""
    try:
        adapter(field).validate_json(json.dumps(value, default=str), strict=True)
    except ValidationError as error:
        return fault(field, error.errors()[0])
    return None


def _with_numbers(value: Any) -> Any:
    """The same with numbers in place of texts like 5e-5."""
    if isinstance(value, dict):
        return {name: _with_numbers(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_with_numbers(each) for each in value]
    return float(value) if isinstance(value, str) and _EXPONENT.fullmatch(value) else value


def config_text(context: typer.Context, values: Mapping[str, Any]) -> str:
    """The YAML of a command's options.

    Args:
        context: of the command.
        values: by parameter; ``...`` for that which the command was given.
    """
    shown = {
        _key(parameter): context.params[parameter.name] if values[parameter.name] is ... else values[parameter.name]
        for parameter in context.command.params
        if parameter.name in values
    }
    return yaml.dump(to_jsonable_python(shown), Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def _key(parameter: Any) -> str:
    long = [name for name in parameter.opts if name.startswith("--")]
    return long[0].removeprefix("--").replace("-", "_") if long else str(parameter.name)


class _Dumper(yaml.SafeDumper):
    """YAML without aliases, which the reader refuses."""

    def ignore_aliases(self, data: Any) -> bool:
        return True
