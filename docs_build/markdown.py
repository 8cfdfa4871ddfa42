"""Pieces of Markdown: tables, and text that stands in one of their cells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; empty where there are no rows."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    if not lines:
        return ""
    head = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    return "\n".join([*head, *lines]) + "\n"


def cell(text: str) -> str:
    """Text for a cell, in which nothing is taken for Markdown or HTML, but for code between backticks."""
    text = " ".join(text.replace("``", "`").split()).replace("|", "\\|")
    parts = text.split("`")
    if len(parts) % 2 == 0:  # a backtick without its other half
        return text.replace("`", "\\`").replace("<", "&lt;")
    outside = [part.replace("<", "&lt;").replace("*", "\\*").replace("_", "\\_").replace("[", "\\[") for part in parts]
    return "`".join(part if index % 2 else outside[index] for index, part in enumerate(parts))
