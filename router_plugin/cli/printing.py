"""How commands print: JSON and tables."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import typer

MIN_WIDTH = 120
"""Columns of a table that is not printed to a terminal."""


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def print_line(value: Any) -> None:
    """One JSON document on one line."""
    typer.echo(json.dumps(value, ensure_ascii=False, default=str))


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

    table = Table(title=title, title_justify="left")
    numeric = [bool(rows) and all(isinstance(row[i], (int, float)) for row in rows) for i in range(len(columns))]
    for column, right in zip(columns, numeric, strict=True):
        table.add_column(column, justify="right" if right else "left")
    for row in rows:
        table.add_row(*(f"{cell:.4f}" if isinstance(cell, float) else str(cell) for cell in row))
    console = Console()
    if not console.is_terminal:
        console = Console(width=max(MIN_WIDTH, console.width))
    console.print(table, markup=False, highlight=False)
