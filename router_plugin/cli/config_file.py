"""A YAML file of a command's options: what ``--config`` reads and ``--print-config`` writes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError
from pydantic_core import to_jsonable_python

from registry import DomainRouterError
from registry.shared.options import adapter, any_of, fault
from registry.shared.strict_yaml import YamlFile, read_yaml, with_exponents

if TYPE_CHECKING:
    from pathlib import Path

    import typer
    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails


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
    known = fields_by_key(parameters, types)
    found = options_at(file, (), {key: types[name] for key, name in known.items()})
    return {known[key]: value for key, value in found.items()}


def fields_by_key(parameters: Iterable[Any], types: Mapping[str, FieldInfo]) -> dict[str, str]:
    """The parameters that a file may set, by their keys in it."""
    return {_key(parameter): str(parameter.name) for parameter in parameters if parameter.name in types}


def options_at(file: YamlFile, where: tuple[str | int, ...], fields: Mapping[str, FieldInfo]) -> dict[str, Any]:
    """The options at a place of a file, by their keys there, as a command takes them for defaults.

    Args:
        file: what was read.
        where: path of keys and positions.
        fields: the type of each option, by its key.

    Raises:
        ConfigError: see :func:`read_config`.
    """
    content: Any = file.content
    for part in where:
        content = content[part]
    content = {} if content is None else content
    if not isinstance(content, dict):
        raise ConfigError(f"{file.place(where)}: expected options, like 'name: value'")
    values = {}
    for key, value in content.items():
        if key not in fields:
            raise ConfigError(f"{file.place((*where, key))}: unknown option {key!r}: expected {any_of(sorted(fields))}")
        field = fields[key]
        if error := _error(field, value):
            number = with_exponents(value)
            if _error(field, number):
                place = (*where, key, *error["loc"]) if isinstance(value, list) else (*where, key)
                read = file.misread(place) if error["type"] in ("string_type", "path_type") else None
                said = fault(field, error) + (f": {read}" if read else "")
                raise ConfigError(f"{file.place(place)}: {key} {value!r}: {said}")
            value = number
        pairs = isinstance(value, dict)
        values[key] = [f"{name}={each}" for name, each in value.items()] if pairs else value
    return values


def _error(field: FieldInfo, value: Any) -> ErrorDetails | None:
    """What is wrong with a value; None if nothing is."""
    try:
        adapter(field).validate_json(json.dumps(value, default=_no_json), strict=True)
    except ValidationError as error:
        return error.errors()[0]
    return None


def _no_json(value: Any) -> dict[str, str]:
    """What stands for a date, which no option takes."""
    return {"date": str(value)}


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
