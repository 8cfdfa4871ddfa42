"""Errors of other libraries, put into a few words for messages of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


def first_line(error: BaseException) -> str:
    """The first line of an error's text; the name of its class where it has none."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def last_line(error: BaseException) -> str:
    """The last line of an error's text, where that quotes a traceback; the name of its class where it has none."""
    lines = str(error).strip().splitlines()
    return lines[-1] if lines else type(error).__name__


def first_fault(error: ValidationError, whole: str = "") -> str:
    """Where a value breaks its model first, and how, like ``thresholds.a: Input should be a valid number``.

    Args:
        error: of the model.
        whole: name of the value, for a fault that no single field has.
    """
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"])) or whole
    return f"{where}: {first['msg']}" if where else str(first["msg"])
