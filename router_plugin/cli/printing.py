"""How commands print: JSON, lines and tables. What users and files wrote is shown as it is, never as markup."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import typer

MIN_WIDTH = 120
"""Columns of a table that is not printed to a terminal."""

_STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that steer a terminal, end a line, or change the order in which others are shown; and half characters."""
_STEERING_IN_JSON = re.compile("[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: object) -> str:
    """A text for one line of a terminal: characters that would steer it are written as escapes."""
    return _STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), str(text))


def say(text: object) -> None:
    """A line on standard output."""
    typer.echo(visible(text))


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
    """A table; numbers are right-aligned."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    def cell(value: object) -> Text:
        return Text(f"{value:.4f}" if isinstance(value, float) else visible(value))

    table = Table(title=Text(visible(title), style="table.title"), title_justify="left")
    numeric = [bool(rows) and all(isinstance(row[i], (int, float)) for row in rows) for i in range(len(columns))]
    for column, right in zip(columns, numeric, strict=True):
        table.add_column(cell(column), justify="right" if right else "left")
    for row in rows:
        table.add_row(*map(cell, row))
    console = Console()
    if not console.is_terminal:
        console = Console(width=max(MIN_WIDTH, console.width))
    console.print(table)
