"""A row of a table, and what its cells hold: nothing, a text, a number or a truth value, however a format writes it."""

from __future__ import annotations

import ast
import io
import json
import re
import tokenize
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from registry.shared.texts import is_missing

MISSING_WORDS = frozenset({"nan", "NaN", "<NA>", "NaT", "NULL", "null", "None", "#N/A"})
"""What programs write for a missing value where a format has none, in this very spelling.

``NA``, ``N/A`` and ``none`` are words that people write, too, so they are texts.
"""

_WHOLE = re.compile(r"(-?\d+)\.0+")
_TRUTH = {"True": "true", "False": "false"}


@dataclass(frozen=True)
class Row:
    """One row of a source: its place, like ``pairs.csv, line 7``, and its fields, or the fault that hides them."""

    place: str
    fields: Mapping[str, Any] | None = None
    fault: str | None = None


def is_empty(value: Any) -> bool:
    """Whether a cell holds nothing: a missing value, blanks, or one of :data:`MISSING_WORDS`."""
    if isinstance(value, str):
        return not value.strip() or value.strip() in MISSING_WORDS
    return is_missing(value)


def cell_text(value: Any) -> str | None:
    """A text, a number or a truth value as text; None where the cell is missing, or holds something else.

    A whole number is written as one: 3, 3.0 and "3.0" are the same, because a column of whole numbers in which some
    are missing becomes one of decimal numbers in many programs. So are true, True and "True".
    """
    if is_empty(value):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if not isinstance(value, (str, int, float)):
        return None
    text = str(value).strip()
    whole = _WHOLE.fullmatch(text)
    return whole[1] if whole else _TRUTH.get(text, text)


def as_list(value: Any) -> Sequence[Any]:
    """The elements of a cell that holds a list, also one that a table without lists holds as text; else the cell.

    Raises:
        ValueError: the text is a list without commas, as numpy prints arrays.
    """
    if isinstance(value, (list, tuple)):
        return value
    if not isinstance(value, str) or not (value.strip().startswith("[") and value.strip().endswith("]")):
        return [value]
    found = _parsed(value.strip())
    if not isinstance(found, list) or not all(each is None or isinstance(each, str) for each in found):
        return [value]
    return found


def _parsed(text: str) -> Any:
    """A list in JSON, or as Python prints it; None for any other text."""
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    if isinstance(found, list) and _adjacent_strings(text):
        raise ValueError('is a list without commas: expected JSON, like ["one", "two"]')
    return found


def _adjacent_strings(text: str) -> bool:
    """Whether two strings follow each other, which Python would join."""
    tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    kinds = [token.type for token in tokens if token.type not in (tokenize.NL, tokenize.NEWLINE, tokenize.COMMENT)]
    return any(pair == (tokenize.STRING, tokenize.STRING) for pair in pairwise(kinds))
