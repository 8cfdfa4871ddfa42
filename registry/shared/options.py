"""The base of what people set: frozen pydantic models whose errors are one plain sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic.fields import FieldInfo

from registry.errors import DomainRouterError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails
    from typing_extensions import Self

_FINITE = ConfigDict(allow_inf_nan=False)
_PLAIN: dict[Any, str] = {bool: "true or false", str: "text", int: "a whole number", float: "a number", Path: "a path"}


@dataclass(frozen=True)
class Shown:
    """Metadata of a field: how help and documentation show it, where its type does not say.

    Attributes:
        default: what the default means, where it is None or depends on other values.
        metavar: the form of a value as text.
        joined: a list is one text, with commas.
    """

    default: str | None = None
    metavar: str | None = None
    joined: bool = False


class Options(BaseModel):
    """Values with their types, defaults, ranges and descriptions, each stated once: in the field.

    Raises:
        DomainRouterError: of the kind ``error``: an unknown name, or a value of another type or out of range.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    error: ClassVar[type[DomainRouterError]] = DomainRouterError

    @model_validator(mode="wrap")
    @classmethod
    def _in_words(cls, values: Any, validate: Callable[[Any], Self]) -> Self:
        checked: Self = in_words(cls, values, validate)
        return checked

    def replace(self, **changes: Any) -> Self:
        """A copy with other values, checked like any other; defaults that depend on them are derived again."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return type(self)(**{**given, **changes})


def in_words(model: Any, values: Any, validate: Callable[[Any], Any]) -> Any:
    """Validate a model's values; of a pydantic dataclass, too.

    Args:
        model: its attribute ``error`` is the kind of error that is raised.
        values: as pydantic hands them to a validator of the mode ``wrap``.
        validate: likewise.

    Raises:
        DomainRouterError: with the name in backticks, the value, and what was expected.
    """
    try:
        return validate(values)
    except ValidationError as error:
        raise model.error(_sentence(model_fields(model), error.errors()[0])) from None


def model_fields(model: Any) -> dict[str, FieldInfo]:
    """The fields of a pydantic model or dataclass, by name."""
    fields: dict[str, FieldInfo] = model.__pydantic_fields__
    return fields


def _sentence(fields: Mapping[str, FieldInfo], error: ErrorDetails) -> str:
    name, *inside = error["loc"]
    if error["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"unknown option `{name}`: expected {any_of(list(fields))}"
    if error["type"] in ("missing", "missing_argument"):
        return f"`{name}` is missing"
    field = fields[str(name)]
    if get_origin(plain_type(field.annotation)) is dict and inside:
        value = f"{inside[0]}={error['input']}"
        return f"`{name}` {value}: expected {expected(get_args(plain_type(field.annotation))[1])}"
    return f"`{name}` {_value(error['input'])}: {fault(field, error)}"


def _value(value: Any) -> str:
    return ", ".join(map(str, value)) if value and isinstance(value, (list, tuple)) else repr(value)


def numbers_by_name(value: Any) -> Any:
    """A mapping from texts like ``name=0.5``, each name once; before a field of such mappings is checked."""
    if not isinstance(value, (list, tuple)):
        return value
    found: dict[str, Any] = {}
    for text in value:
        name, separator, number = str(text).partition("=")
        if not name or not separator:
            raise ValueError("expected NAME=NUMBER")
        if name in found:
            raise ValueError(f"duplicate name {name!r}")
        try:
            found[name] = float(number)
        except ValueError:
            found[name] = number
    return found


def adapter(field: FieldInfo) -> TypeAdapter[Any]:
    """Validates values of one field as its model does."""
    annotation: Any = field.annotation
    for limit in field.metadata:
        annotation = Annotated[annotation, limit]
    return TypeAdapter(annotation, config=None if is_dataclass(field.annotation) else _FINITE)


def fault(field: FieldInfo, error: ErrorDetails) -> str:
    """What is wrong with a value of a field, in words: what its validator says, else what is expected."""
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    return f"expected {expected(field.annotation, field.metadata)}"


def expected(annotation: Any, limits: Sequence[Any] = ()) -> str:
    """The values that a field takes, like ``a whole number of at least 1``.

    Args:
        annotation: type of the field.
        limits: its metadata, of which the bounds count.
    """
    kind = plain_type(annotation)
    if get_origin(kind) is Annotated:
        kind, *inner = get_args(kind)
        return expected(kind, [each for field in inner for each in getattr(field, "metadata", [field])])
    if get_origin(kind) is Literal:
        return any_of(get_args(kind))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return any_of([each.value for each in kind])
    if get_origin(kind) in (tuple, list):
        return f"a list of values, each {expected(get_args(kind)[0])}"
    if get_origin(kind) is dict:
        return f"values by name, each {expected(get_args(kind)[1])}"
    words = _PLAIN.get(kind, f"a value of type {getattr(kind, '__name__', kind)}")
    return f"{words} {range_words(limits)}" if bounds(limits) else words


def plain_type(annotation: Any) -> Any:
    """The type of a field's values, leaving None aside."""
    if get_origin(annotation) in (Union, UnionType):
        kinds = [kind for kind in get_args(annotation) if kind is not type(None)]
        return kinds[0] if len(kinds) == 1 else annotation
    return annotation


def bounds(limits: Sequence[Any]) -> dict[str, float]:
    """The bounds among a field's metadata, by ``ge``, ``gt``, ``le`` and ``lt``."""
    return {name: getattr(limit, name) for name in ("ge", "gt", "le", "lt") for limit in limits if hasattr(limit, name)}


def range_words(limits: Sequence[Any]) -> str:
    """The bounds among a field's metadata in words, like ``from 0 to 1``."""
    known = bounds(limits)
    if {"ge", "le"} <= known.keys():
        return f"from {known['ge']} to {known['le']}"
    words = {"ge": "of at least", "gt": "greater than", "le": "of at most", "lt": "less than"}
    return " and ".join(f"{words[name]} {value}" for name, value in known.items())


def any_of(names: Sequence[Any]) -> str:
    """Names as a choice: ``a, b or c``."""
    *others, last = map(str, names)
    return f"{', '.join(others)} or {last}" if others else last


Device = Annotated[
    str | None,
    Field(description="Device as torch names it: cpu, cuda, mps, ..."),
    Shown(default="a GPU if available"),
]
TrustRemoteCode = Annotated[bool, Field(description="Let models run code of their own.")]
