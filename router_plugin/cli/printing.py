"""How commands print: JSON, lines and tables. What users and files wrote is shown as it is, never as markup."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import typer

from router_plugin.cli.terminal.style import Tone, toned
from router_plugin.cli.terminal.style import visible as visible

_STEERING_IN_JSON = re.compile("[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def quiet_libraries() -> None:
    """Leave it to this program to show what takes long, and to say what went wrong; before the libraries are loaded."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    for library in ("TRANSFORMERS", "HF_HUB", "DATASETS"):
        os.environ.setdefault(f"{library}_VERBOSITY", "error")


def say(text: object, tone: Tone | None = None) -> None:
    """A line on standard output, in a colour if it is to be noticed and the terminal shows colours."""
    typer.echo(toned(visible(text), tone, sys.stdout) if tone else visible(text))


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    typer.echo(_json(value, indent=2))


def print_line(value: Any) -> None:
    """One JSON document on one line."""
    typer.echo(_json(value))


def _json(value: Any, indent: int | None = None) -> str:
    text = json.dumps(value, indent=indent, ensure_ascii=False, default=str)
    return _STEERING_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def print_figures(title: str, figures: Mapping[str, Any]) -> None:
    """A table of the values that are numbers."""
    rows = [(name, value) for name, value in figures.items() if isinstance(value, (int, float))]
    print_table(title, ("figure", "value"), rows)


def shown(value: float | None, digits: int = 3) -> str:
    """A number in a cell of a table; empty for None."""
    return "" if value is None else f"{value:.{digits}f}"


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table; numbers are right-aligned, nested values laid out, digests shortened."""
    from router_plugin.cli.terminal.tables import write_table

    write_table(title, columns, rows)


def print_fields(title: str, fields: Mapping[str, Any]) -> None:
    """A table of names and values, nested ones by dotted names."""
    from router_plugin.cli.terminal.tables import dotted

    plain = ((name, f"{value:g}" if isinstance(value, float) else value) for name, value in dotted(fields))
    print_table(title, ("field", "value"), [(name, value) for name, value in plain])
