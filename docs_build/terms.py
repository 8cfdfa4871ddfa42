"""Links the first use of a glossary's term on a page to the glossary."""

from __future__ import annotations

import re

GLOSSARY = "glossary.md"

TERMS = (
    "adapted model",
    "base model",
    "calibration",
    "canary",
    "champion",
    "classifier profile",
    "domain classifier",
    "domain encoder",
    "hard negative",
    "joint space",
    "MRR@5",
    "nDCG@10",
    "prepared data",
    "qrels",
    "two-stage routing",
    "utterance",
)
"""The terms that are linked: those that a reader cannot guess, and that have one meaning."""

_TAG = re.compile(r"(<!--.*?-->|<[^>]*>)", re.DOTALL)
_NAME = re.compile(r"<(/?)([a-z][a-z0-9]*)")
_APART = frozenset({"a", "button", "code", "figcaption", "pre", "script", "style", "summary", "svg", "th", "title"})
"""Elements in which no link belongs; nor in headings."""
_FIRST_CELL = re.compile(r"<tr>\s*<td>([^<]+)</td>")


def anchor_of(term: str) -> str:
    """Where a term is on the page of the glossary."""
    return re.sub(r"[^a-z0-9]+", "-", term.casefold()).strip("-")


def with_anchors(html: str) -> str:
    """The glossary's table, with an anchor for each term."""
    return _FIRST_CELL.sub(lambda found: f'<tr id="{anchor_of(found[1])}"><td>{found[1]}</td>', html)


def with_links(html: str, address: str) -> str:
    """A page, with a link where a term is used first in its text, in the singular or plural.

    Args:
        html: of the page's content.
        address: of the glossary, as seen from the page.
    """
    left, parts, apart = list(TERMS), _TAG.split(html), 0
    for number, part in enumerate(parts):
        if number % 2:
            apart += _change(part)
        elif not apart:
            parts[number] = _linked(part, left, address)
    return "".join(parts)


def _change(tag: str) -> int:
    """1 where an element begins in which no link belongs, -1 where it ends."""
    found = _NAME.match(tag)
    if not found or tag.endswith("/>") or not (found[2] in _APART or re.fullmatch("h[1-6]", found[2])):
        return 0
    return -1 if found[1] else 1


def _linked(text: str, left: list[str], address: str) -> str:
    """A text with links for the terms that have none yet, which are taken from the list."""
    if not left:
        return text
    found = _pattern(left).search(text)
    if found is None:
        return text
    term = next(each for each in left if _pattern([each]).fullmatch(found[0]))
    left.remove(term)
    link = f'<a href="{address}#{anchor_of(term)}">{found[0]}</a>'
    return text[: found.start()] + link + _linked(text[found.end() :], left, address)


def _pattern(terms: list[str]) -> re.Pattern[str]:
    any_of = "|".join(re.escape(term).replace(r"\ ", r"\s+") for term in terms)
    return re.compile(rf"(?<![\w@-])(?:{any_of})s?(?![\w@-])", re.IGNORECASE)
