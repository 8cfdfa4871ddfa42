"""Options of commands that are derived from models: a field's type, range, default and description, stated once."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import typer
from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined, to_jsonable_python

from registry.shared.options import Shown, adapter, bounds, fault, model_fields, plain_type
from router_plugin.cli.named_values import PATH, named_path

_KEYWORD = inspect.Parameter.KEYWORD_ONLY


@dataclass(frozen=True)
class Fields:
    """Metadata of a command's parameter: which fields are options, and how its value is made of theirs.

    Attributes:
        models: pydantic models or dataclasses that have the fields, by name; the help of an option that not all of them
            have says which do.
        build: makes the parameter's value, of all values of the command and of the given fields; None where it has
            none.
        names: of the fields; all by default.
        about: what the options are about, in front of their help.
        flags: of fields whose flag is not their name.
        callbacks: of fields, for checks against this machine.
    """

    models: Mapping[str, Any]
    build: Callable[[Mapping[str, Any], dict[str, Any]], Any]
    names: tuple[str, ...] = ()
    about: str = ""
    flags: Mapping[str, str] = field(default_factory=dict)
    callbacks: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)

    def by_name(self) -> dict[str, dict[str, FieldInfo]]:
        """Each field by its name and the names of the models that have it."""
        models = {key: model_fields(model) for key, model in self.models.items()}
        known = dict.fromkeys(name for fields in models.values() for name in fields)
        return {
            name: {key: fields[name] for key, fields in models.items() if name in fields}
            for name in self.names or known
        }


def fields_of(
    model: Any,
    *names: str,
    flags: Mapping[str, str] | None = None,
    callbacks: Mapping[str, Callable[[Any], Any]] | None = None,
) -> Fields:
    """Options for fields of one model, all by default; the parameter's value is an instance of the model."""
    return Fields({"": model}, lambda _, given: model(**given), names, "", flags or {}, callbacks or {})


def with_fields(command: Callable[..., None]) -> Callable[..., None]:
    """A command with one option a field in place of each parameter that has :class:`Fields`.

    It also gets ``--config``, for a YAML file of its options, and ``--print-config``, which writes such a file instead
    of running the command.
    """
    own = inspect.signature(command, eval_str=True).parameters
    derived = _derived(own)
    parameters: dict[str, inspect.Parameter] = {}
    for name, parameter in own.items():
        if name in derived:
            for each, fields in derived[name].by_name().items():
                parameters[each] = _option(each, fields, derived[name])
        else:
            parameters[name] = parameter.replace(kind=_KEYWORD)
    types = option_types(command)
    parameters |= {each.name: each for each in _added_parameters(types)}

    @functools.wraps(command)
    def run(*, context: typer.Context, config: Path | None, print_config: bool, **values: Any) -> None:
        values["context"] = context
        built = {name: _build(fields, values) for name, fields in derived.items()}
        if print_config:
            from router_plugin.cli.config_file import config_text

            typer.echo(config_text(context, _resolved(types, derived, built)), nl=False)
        else:
            command(**{name: built[name] if name in built else values[name] for name in own})

    run.__signature__ = inspect.Signature(list(parameters.values()))  # type: ignore[attr-defined]
    run.__annotations__ = {name: parameter.annotation for name, parameter in parameters.items()}
    return run


def option_types(command: Callable[..., None]) -> dict[str, FieldInfo]:
    """The type of each value that a command takes, by the parameter, as :func:`with_fields` reads them from a file."""
    own = inspect.signature(inspect.unwrap(command), eval_str=True).parameters
    derived = _derived(own)
    types: dict[str, FieldInfo] = {}
    for name, parameter in own.items():
        if name in derived:
            types |= {each: next(iter(fields.values())) for each, fields in derived[name].by_name().items()}
        else:
            types[name] = FieldInfo.from_annotation(_without_typer(parameter.annotation))
    return types


def _derived(parameters: Mapping[str, inspect.Parameter]) -> dict[str, Fields]:
    """What has options of its own in place of a parameter, by the parameter."""
    return {name: found for name, each in parameters.items() if (found := _fields(each.annotation))}


def _fields(annotation: Any) -> Fields | None:
    found = (each for each in get_args(annotation)[1:] if isinstance(each, Fields))
    return next(found, None) if get_origin(annotation) is Annotated else None


def _without_typer(annotation: Any) -> Any:
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def _build(fields: Fields, values: Mapping[str, Any]) -> Any:
    context = values["context"]
    given = {name: values[name] for name in fields.by_name() if values[name] is not None and is_given(context, name)}
    return fields.build(values, given)


def _resolved(
    types: Mapping[str, FieldInfo], derived: Mapping[str, Fields], built: Mapping[str, Any]
) -> dict[str, Any]:
    """The values of the derived options, and None for all others but those that the chosen models do not have."""
    dumped = {name: value for model in built.values() for name, value in (to_jsonable_python(model) or {}).items()}
    unused = {name for fields in derived.values() for name in fields.by_name()} - dumped.keys()
    return {name: dumped.get(name, ...) for name in types if name not in unused}


def is_given(context: typer.Context, name: str) -> bool:
    """Whether an option is on the command line, or in a file with another value than the default."""
    source = context.get_parameter_source(name)
    if source is None or source.name != "DEFAULT_MAP":
        return source is not None and source.name != "DEFAULT"
    (default,) = (parameter.default for parameter in context.command.params if parameter.name == name)
    return bool(context.params[name] != default)


def _added_parameters(types: Mapping[str, FieldInfo]) -> list[inspect.Parameter]:
    """``--config`` and ``--print-config``, and the context that both need."""

    def read(context: typer.Context, path: Path | None) -> Path | None:
        if path:
            from router_plugin.cli.config_file import read_config

            context.default_map = read_config(path, context.command.params, types)
        return path

    file = typer.Option(
        "--config",
        help="YAML file of options, such as --print-config writes; flags override it. Paths in it are relative to the "
        "current folder.",
        parser=named_path,
        metavar=PATH,
        show_default=False,
        is_eager=True,
        callback=read,
    )
    show = typer.Option("--print-config", help="Write all options as YAML, and do nothing else.")
    return [
        inspect.Parameter("context", _KEYWORD, annotation=typer.Context),
        inspect.Parameter("config", _KEYWORD, annotation=Annotated[Path | None, file], default=None),
        inspect.Parameter("print_config", _KEYWORD, annotation=Annotated[bool, show], default=False),
    ]


def _option(name: str, fields: Mapping[str, FieldInfo], described: Fields) -> inspect.Parameter:
    """The option of a field, which several models may have."""
    field = next(iter(fields.values()))
    shown = next((each for each in field.metadata if isinstance(each, Shown)), Shown())
    kind = plain_type(field.annotation)
    repeated = get_origin(kind) in (tuple, dict) and not shown.joined
    item = FieldInfo.from_annotation(get_args(kind)[0]) if repeated and get_origin(kind) is tuple else field
    parsed = shown.joined or item is not field or kind in (int, float, Path) or get_origin(kind) is Literal
    one_default = len(described.models) == 1 and not (repeated or field.default_factory or field.is_required())
    default = field.default if one_default else None
    option = typer.Option(
        described.flags.get(name, f"--{name.replace('_', '-')}"),
        help=_help(fields, described, repeated),
        show_default=default is not None or _default_words(fields, shown) or False,
        callback=described.callbacks.get(name),
        parser=_parser(item) if parsed else None,
        metavar=_metavar(kind, field, shown) if parsed or repeated or shown.metavar else None,
    )
    annotation = list[str] if repeated else Any if shown.joined else kind
    optional = annotation if default is not None or annotation is Any else annotation | None
    return inspect.Parameter(name, _KEYWORD, annotation=Annotated[optional, option], default=default)


def _help(fields: Mapping[str, FieldInfo], described: Fields, repeated: bool) -> str:
    """The description, in which other fields are named by their flags."""
    known = described.by_name()

    def flag(found: re.Match[str]) -> str:
        return described.flags.get(found[1], f"--{found[1].replace('_', '-')}" if found[1] in known else found[1])

    text = re.sub(r"`([\w-]+)`", flag, str(next(iter(fields.values())).description))
    about = described.about if len(fields) == len(described.models) else ", ".join(fields)
    return f"{about}{': ' if about else ''}{text}{' Repeatable.' if repeated else ''}"


def _default_words(fields: Mapping[str, FieldInfo], shown: Shown) -> str:
    """The defaults of a field that several models have, or that depends on other values."""
    words = {model: shown_default(field, shown) for model, field in fields.items() if field.default is not False}
    if len(set(words.values())) <= 1:
        return next(iter(words.values()), "")
    return ", ".join(f"{model} {word}" for model, word in words.items())


def shown_default(field: FieldInfo, shown: Shown) -> str:
    """A default as help and documentation show it."""
    value = field.get_default(call_default_factory=True, validated_data={})
    if value in (None, PydanticUndefined, (), {}):
        return shown.default or ""
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _parser(field: FieldInfo) -> Callable[[Any], Any]:
    def parse(value: Any) -> Any:
        try:
            return adapter(field).validate_python(value)
        except ValidationError as error:
            raise typer.BadParameter(f"{value}: {fault(field, error.errors()[0])}") from None

    return parse


def _metavar(kind: Any, field: FieldInfo, shown: Shown) -> str:
    limits = bounds(field.metadata)
    if shown.metavar:
        return shown.metavar
    if get_origin(kind) is tuple:
        return f"<list[{get_args(kind)[0].__name__}]>"
    if get_origin(kind) is Literal:
        return f"<{'|'.join(get_args(kind))}>"
    if {"ge", "le"} <= limits.keys():
        return f"<{limits['ge']} to {limits['le']}>"
    return PATH if kind is Path else f"<{getattr(kind, '__name__', kind)}>"
