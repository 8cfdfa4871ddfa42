"""Jinja2 templates of pages and model cards: files next to the modules that use them. All values are escaped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from registry.shared.texts import shortened

if TYPE_CHECKING:
    from huggingface_hub import ModelCardData

SHARED = Path(__file__).parent
"""The folder of the templates that others extend or import."""

_MARKDOWN = re.compile(r"[\\`*{}\[\]<>#|~&]|(?<![^\W_])_|_(?![^\W_])")


def render_html(template: Path, **values: Any) -> str:
    """Fill in an HTML template, which may extend or import the shared ones by their names.

    Args:
        template: the file.
        values: its variables; what is not :class:`markupsafe.Markup` is escaped.
    """
    return _environment(template.parent, html=True).get_template(template.name).render(values)


def render_card(template: Path, data: ModelCardData, **values: Any) -> str:
    """Fill in the Markdown template of a model card, and put its metadata before it.

    A template can also call ``code(value)`` for a code span and ``table(columns, rows)``.

    Args:
        template: the file.
        data: the metadata.
        values: its variables; what is not :class:`markupsafe.Markup` is escaped.
    """
    from huggingface_hub import ModelCard

    body = _environment(template.parent, html=False).get_template(template.name).render(values)
    card = ModelCard(f"---\n{data.to_yaml()}\n---\n\n{body}")
    return f"{card}\n"


def one_line(value: object) -> str:
    """A value as text without line breaks and NUL, that UTF-8 can encode."""
    return " ".join(str(value).encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}").split())


def _encodable(value: Any) -> Any:
    """A value of HTML, without halves of characters, which no file can hold: names of files may have them."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return value.encode("utf-8", "replace").decode()


def escape_markdown(value: object) -> Markup:
    """A value as one line of Markdown that shows it as it is."""
    if isinstance(value, Markup):
        return value
    return Markup(_MARKDOWN.sub(r"\\\g<0>", one_line(value)))


def code_span(value: object) -> Markup:
    """A value as a code span of Markdown: between more backticks than stand anywhere in it."""
    text = one_line(value)
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return Markup(f"{fence}{pad}{text}{pad}{fence}")


def markdown_table(columns: Sequence[object], rows: Iterable[Sequence[object]]) -> Markup:
    """A table of Markdown."""
    lines: list[Sequence[object]] = [columns, [Markup("---")] * len(columns), *rows]
    return Markup("\n".join(f"| {' | '.join(map(escape_markdown, line))} |" for line in lines))


@cache
def _environment(folder: Path, html: bool) -> Environment:
    environment = Environment(
        loader=FileSystemLoader([folder, SHARED]),
        autoescape=html,
        finalize=_encodable if html else escape_markdown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["shortened"] = shortened
    environment.globals |= {"code": code_span, "table": markdown_table}
    return environment
