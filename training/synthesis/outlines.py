"""Outlines of HTML, Markdown and plain text: the title, and the text under each heading."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html.parser import HTMLParser
from typing import NamedTuple

from markdown_it import MarkdownIt
from markdown_it.token import Token

from registry.texts.forms import collapsed

_SKIPPED = frozenset(
    {"script", "style", "noscript", "template", "svg", "nav", "footer"} | {"button", "datalist", "select", "textarea"}
)
_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_INLINE = frozenset(
    {"a", "abbr", "b", "cite", "code", "del", "dfn", "em", "font", "i", "ins", "kbd", "mark", "q", "s", "samp", "small"}
    | {"span", "strong", "sub", "sup", "tt", "u", "var", "wbr"}
)
_TAG = re.compile(r"</?([a-zA-Z][a-zA-Z0-9]*)")
_FRONT_MATTER = re.compile(r"\A---\n.*?\n(?:---|\.\.\.)\n", re.DOTALL)
_MAX_TITLE_CHARACTERS = 100


class Section(NamedTuple):
    """Text with collapsed white space, and its heading, which may be empty."""

    heading: str
    text: str


class Outline(NamedTuple):
    """A document's title, which may be empty, and its non-empty sections in order."""

    title: str
    sections: tuple[Section, ...]


def read_html(text: str) -> Outline:
    """The outline of an HTML page, titled by its first ``h1``, else by its ``title``."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    return reader.outline()


def read_markdown(text: str) -> Outline:
    """The outline of a CommonMark text with tables, titled by its first level-1 heading."""
    reader = MarkdownIt("commonmark").enable("table")
    reader.add_render_rule("html_inline", _inline_tag)
    return read_html(reader.render(_FRONT_MATTER.sub("", text)))


def _inline_tag(renderer: object, tokens: Sequence[Token], place: int, options: object, env: object) -> str:
    """Render an HTML tag within a paragraph; one like ``<title>`` in ``git commit -m <title>`` is dropped."""
    tag = tokens[place].content
    name = _TAG.match(tag)
    return "" if name and name[1].lower() in {*_SKIPPED, *_HEADINGS, "title"} else tag


def read_plain(text: str) -> Outline:
    """One section, titled by a short first line that is followed by an empty one and is not a sentence."""
    first, _, rest = text.strip().partition("\n")
    titled = (
        rest.startswith(("\n", "\r\n")) and len(first) <= _MAX_TITLE_CHARACTERS and not first.rstrip().endswith(".")
    )
    title, body = (collapsed(first), rest) if titled else ("", text)
    return Outline(title, _with_text([Section("", collapsed(body))]))


class _Reader(HTMLParser):
    """Collects the text under each heading."""

    def __init__(self) -> None:
        super().__init__()
        self._page_title = self._title = ""
        self._sections: list[tuple[str, list[str]]] = [("", [])]
        self._caption: list[str] | None = None
        self._skipped = 0

    def outline(self) -> Outline:
        """The outline of the text so far."""
        found = [Section(heading, collapsed("".join(parts))) for heading, parts in self._sections]
        return Outline(self._title or self._page_title, _with_text(found))

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag in _SKIPPED:
            self._skipped += 1
        elif not self._skipped and (tag in _HEADINGS or (tag == "title" and not self._begun())):
            self._caption = []
        elif tag not in _INLINE:
            self.handle_data(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag in _SKIPPED:
            self._skipped = max(0, self._skipped - 1)
        elif self._caption is not None and (tag in _HEADINGS or tag == "title"):
            self._end_caption(tag)
        elif tag not in _INLINE:
            self.handle_data(" ")

    def handle_data(self, data: str) -> None:
        if not self._skipped:
            (self._sections[-1][1] if self._caption is None else self._caption).append(data)

    def _begun(self) -> bool:
        return len(self._sections) > 1 or any(map(str.strip, self._sections[0][1]))

    def _end_caption(self, tag: str) -> None:
        caption, self._caption = collapsed("".join(self._caption or ())), None
        if tag == "title":
            self._page_title = caption
        elif tag == "h1" and not self._title:
            self._title = caption
            self._sections.append(("", []))
        else:
            self._sections.append((caption, []))


def _with_text(sections: list[Section]) -> tuple[Section, ...]:
    return tuple(section for section in sections if section.text)
