"""Utterances as the lines of a text field, and back: one that is no plain line stands in quotes, as in JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from router_plugin.routes_text.writing import yaml_text

_UNSEEN = re.compile("[\0-\x1f\x7f-\xa0\u2028\u2029\ufeff]")
"""Characters that end a line, or that nobody sees in one."""
_END = re.compile("\r\n|\r|\n")


def to_lines(utterances: Iterable[str]) -> str:
    """One utterance a line; one with line breaks, blanks around it or a quote in front is written as JSON."""
    return "\n".join(text if _is_plain(text) else yaml_text(text) for text in utterances)


def from_lines(text: str) -> tuple[str, ...]:
    """The utterances of a text field, without blank lines. A line in double quotes that is JSON is read as such."""
    return tuple(_read(line) for line in map(str.strip, _END.split(text)) if line)


def _is_plain(text: str) -> bool:
    return text == text.strip() and not text.startswith('"') and not _UNSEEN.search(text)


def _read(line: str) -> str:
    if line.startswith('"'):
        try:
            found = json.loads(line)
        except ValueError:
            return line
        if isinstance(found, str):
            return found
    return line
