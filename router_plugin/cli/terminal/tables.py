"""Tables: for people in the width of their terminal, for pipes as aligned lines that depend on nothing but the data."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer

from router_plugin.cli.terminal.style import at_terminal, coloured, visible

if TYPE_CHECKING:
    from rich.text import Text

MIN_WIDTH, MAX_WIDTH = 60, 200
"""Columns of a table at a terminal."""
READABLE = 16
"""Columns that a cell with long text needs; a table with less room for each is laid out as records."""
DIGEST = 12
"""Characters of a SHA-256 digest that are shown."""
GAP = "  "
EMPTY = "-"
"""An empty cell in a pipe, so that each line has as many fields as the first."""

_DIGEST = re.compile(rf"\b([0-9a-f]{{{DIGEST}}})[0-9a-f]{{{64 - DIGEST}}}\b")
_CHANGE = re.compile(r"[+-](?=.*[1-9])\d[\d.]*(e-?\d+)?")

Row = Sequence[object]


def dotted(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Nested values by their dotted names, such as ``counts.pairs``; a list of plain values stays one."""
    for name, value in values.items():
        path = f"{prefix}{name}"
        if isinstance(value, Mapping) and value:
            yield from dotted(value, f"{path}.")
        elif isinstance(value, (list, tuple)) and any(isinstance(each, (Mapping, list, tuple)) for each in value):
            yield from dotted({str(number): each for number, each in enumerate(value, 1)}, f"{path}.")
        else:
            yield path, value


def cell(value: object) -> str:
    """A value as the text of a cell, on one line; empty for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.4f}" if value == 0 or abs(value) >= 0.001 else f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{visible(name)}={cell(each)}" for name, each in dotted(value))
    if isinstance(value, (list, tuple)):
        return ", ".join(map(cell, value))
    return _DIGEST.sub(r"\1", visible(value))


def write_table(title: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
    """Write a table to standard output."""
    heads, cells = [cell(name) for name in columns], [[cell(value) for value in row] for row in rows]
    right = [bool(rows) and all(_is_number(row[number]) for row in rows) for number in range(len(columns))]
    if not at_terminal(sys.stdout):
        for line in plain_lines(visible(title), heads, cells, right):
            typer.echo(line)
    elif _is_narrow(heads, cells, width := terminal_width()):
        _print_records(visible(title), heads, cells, width)
    else:
        _print_grid(visible(title), heads, cells, right, width)


def terminal_width() -> int:
    """Columns of a table at this terminal."""
    return min(max(shutil.get_terminal_size().columns, MIN_WIDTH), MAX_WIDTH)


def plain_lines(
    title: str, heads: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[bool]
) -> Iterator[str]:
    """The lines of a table for other programs: the title, the names of the columns, one line a row, an empty line."""
    from rich.cells import cell_len

    lines = [[text or EMPTY for text in row] for row in (heads, *rows)]
    widths = [max(cell_len(row[number]) for row in lines) for number in range(len(heads))]
    yield title
    for row in lines:
        filled = ((text, " " * (width - cell_len(text))) for text, width in zip(row, widths, strict=True))
        yield GAP.join(
            f"{space}{text}" if flush else f"{text}{space}" for (text, space), flush in zip(filled, right, strict=True)
        ).rstrip(" ")
    yield ""


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_narrow(heads: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> bool:
    """Whether a grid of more than two columns would break words, or leave long cells less room than can be read."""
    from rich.cells import cell_len

    def longest_word(texts: Sequence[str]) -> int:
        return max((cell_len(word) for text in texts for word in text.split()), default=1)

    def needed(head: str, texts: Sequence[str]) -> int:
        longest = max(map(cell_len, texts), default=0)
        return max(longest_word([head]), min(longest, max(min(longest_word(texts), 2 * READABLE), READABLE)))

    columns = [[row[number] for row in rows] for number in range(len(heads))]
    return len(heads) > 2 and sum(needed(*each) + 3 for each in zip(heads, columns, strict=True)) + 1 > width


def _styled(text: str) -> Text:
    """A text, never markup; a change is green or red."""
    from rich.text import Text

    style = ("green" if text.startswith("+") else "red") if _CHANGE.fullmatch(text) else ""
    return Text(text, style=style, overflow="fold")


def _print_grid(
    title: str, heads: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[bool], width: int
) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title, style="bold", overflow="fold"), title_justify="left")
    for name, flush in zip(heads, right, strict=True):
        table.add_column(Text(name, overflow="fold"), justify="right" if flush else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(_styled, row))
    coloured(sys.stdout, width).print(table)


def _print_records(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> None:
    """Each row as lines of names and values, for a terminal that is too narrow for all columns side by side."""
    from rich.table import Table
    from rich.text import Text

    console = coloured(sys.stdout, width)
    console.print(Text(title, style="bold", overflow="fold"))
    for row in rows:
        record = Table.grid(padding=(0, 2))
        record.add_column(overflow="fold", max_width=width // 3)
        record.add_column(overflow="fold")
        for name, text in zip(heads, row, strict=True):
            record.add_row(Text(name, style="bold", overflow="fold"), _styled(text))
        console.print(record)
        console.print()
