"""The sentences of a text in any script."""

from __future__ import annotations

import re
from itertools import pairwise

_LATIN = r"(?<=[.!?]) "
"""A space behind a mark that also has other uses."""
_ENDS = (
    "\u0589\u061d-\u061f\u06d4\u0700-\u0702\u0964\u0965\u104b\u1362\u1367\u1368\u17d4\u17d5"
    "\u3002\uff01\uff0e\uff1f\uff61"
)
"""Marks that end a sentence with or without a space behind them: of Armenian, Arabic, Syriac, the scripts of India,
Burmese, Ethiopic, Khmer, Chinese and Japanese."""
_CLOSING = "\u00bb\u2019\u201d\u203a\u3009\u300b\u300d\u300f\u3011\uff09\uff3d\uff5d"
_SPACED_APART = "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ece\u1000-\u104a\u1780-\u17d3"
"""Letters and marks of Thai, Lao, Burmese and Khmer, which put spaces only between sentences and their parts."""
_END = re.compile(
    rf"{_LATIN}"
    rf"|(?:(?<=[{_ENDS}])|(?<=[{_ENDS}][{_CLOSING}])|(?<=[{_ENDS}][{_CLOSING}][{_CLOSING}]))"
    rf"(?!(?<=\uff0e)\d) ?(?=[^{_ENDS}{_CLOSING}])"
    rf"|(?<=[{_SPACED_APART}]) (?=[{_SPACED_APART}])",
    re.DOTALL,
)
_LATIN_END = re.compile(_LATIN)


def split_sentences(text: str) -> list[str]:
    """The sentences of a text with collapsed white space, each with the space behind it; together they are the text.

    A sentence ends at ``.``, ``!`` or ``?`` before a space, and at the marks of other scripts, such as ``。``, ``।``,
    ``؟`` and ``។``, with the quotation marks and brackets that close there. Thai, Lao, Burmese and Khmer text is split
    at its spaces.
    """
    ends = (_LATIN_END if text.isascii() else _END).finditer(text)
    return [text[start:end] for start, end in pairwise([0, *(found.end() for found in ends), len(text)])]
