"""The words of a text in any script, and its symbols.

A word is a run of letters, marks, digits and joiners. Scripts that are written without spaces have no words that could
be found without a dictionary: their text is read as overlapping pairs of letters with their marks, which match as well
(Nie and Ren, 1999, "Chinese information retrieval: using characters or words?"; Lucene's ``CJKAnalyzer``).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import groupby, pairwise

from registry.texts.forms import JOINERS, TAGS, text_key

_WORD, _BETWEEN_SPACES = re.compile(r"\w+"), re.compile(r"\S+")
_NOT_PLAIN = re.compile(
    "[\u00ad\u0300-\u036f\u0483-\u0489\u0591-\u1dff\u200b-\u200f\u202a-\u202e\u2060-\u206f\u20d0-\u20ff"
    "\u2cef-\u2cf1\u2d7f\u2de0-\u2dff\u2e80-\uabff\ud7b0-\udfff\uf900-\U0010ffff]"
)
"""Characters of scripts that have marks or no spaces; the others are read as well by Python's own class of words."""
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u1950-\u19df\u1a20-\u1aaf\u1b00-\u1b7f\ua980-\ua9ff\uaa60-\uaadf"
    "\u3005-\u3007\u3021-\u303c\u3041-\u30ff\u31f0-\u31ff\uf900-\ufaff"
)
"""Blocks of scripts that are written without spaces: Thai, Lao, Burmese, Khmer, those of the Tai, Balinese, Javanese,
Japanese, Chinese."""
_HAN, _HANGUL = "\u3400-\u4dbf\u4e00-\u9fff", "\uac00-\ud7ff"
_RARE_UNSPACED = (
    "\U000116d0-\U000116ff\U00011700-\U0001174f\U00016fe0-\U00016fff\U0001aff0-\U0001b16f\U00020000-\U00033479"
)
_RARE = (
    "\U00010000-\U000116cf\U00011750-\U00016fdf\U00017000-\U0001afef\U0001b170-\U0001bc9f"
    "\U0001d400-\U0001d7ff\U0001df00-\U0001efff"
)
_RARE_SYMBOLS = "\U0001d000-\U0001d3ff\U0001d800-\U0001daff\U0001f000-\U0001fbff"
"""Whole blocks beyond the basic plane: exact classes of that many characters would be slow."""

_DASHES = re.compile("[\u2010-\u2015\u2212]")
_RIGHTS = re.compile("[\u00a9\u00ae\u2117\u2120\u2122]")
"""Signs of rights, which NFKC partly turns into letters of the word before."""
_SYMBOLS = "#$%&+<=>@^|~"
_OTHER_SYMBOLS = "\u00a7\u066a\u0609\u060a\u2030\u2031\u2032\u203b"
_MEANT = (
    r"(?<![^ \"'(\[{])[.-](?=\w)"  # .net, -5
    r"|(?<=\d )[/-](?= \d)"  # 7 - 3
    r"|(?<=\w)\*(?=\w)|(?<=\w )\*(?= \w)"
    r"|!(?==)"
    r"|(?<!\S)[:;]'?-?[()\[\]{}|/\\<>]+(?!\S)"  # an emoticon
)
"""Punctuation that is a symbol where it stands."""
_SHAPES = bytes.maketrans(_SYMBOLS.encode() + b"*\"'([{-;", b"$" * (len(_SYMBOLS) + 1) + b"     " + b".:")
"""Symbols and what may be one to ``$``, opening marks to a space, hyphens to full stops, semicolons to colons."""
_WORDLESS = "\0"
"""Begins the key of a text without words, so that it equals that of no text with words."""
_ASCII_TOKEN = re.compile(rf"\w+|{_MEANT}|[{_SYMBOLS}]")


def words(text: str) -> list[str]:
    """The words of a text, as it is written."""
    if is_plain(text):
        return _WORD.findall(text)
    return [word for found in _patterns().word.finditer(text) for word in _read(found)]


def runs(text: str) -> list[str]:
    """The same, but text without spaces as it is written."""
    return (_WORD if is_plain(text) else _patterns().run).findall(text)


def tokens(text: str) -> list[str]:
    """The words and symbols of a text in its :func:`~registry.texts.forms.text_key`.

    Currencies, operators, emoji and the like are symbols, and so are ``#``, ``%``, ``&`` and ``@``. Marks of
    punctuation are where they stand for something else, as in ``.NET``, ``-5``, ``7 / 3`` and ``:-)``.
    """
    if text.isascii():
        key = text.lower() if text.isprintable() and "  " not in text else text_key(text)
        return (_WORD if _only_words(key) else _ASCII_TOKEN).findall(key)
    key = _DASHES.sub("-", text_key(_RIGHTS.sub("", text)))
    if is_plain(key):
        return _patterns().plain_token.findall(key)
    return [token for found in _patterns().token.finditer(key) for token in _read(found)]


def near_key(text: str) -> str:
    """Equal for texts that differ in punctuation only, beside their normal form, case and white space: the tokens.

    A text without any is spelled as it is: marks of punctuation alone are different texts.
    """
    return " ".join(tokens(text)) or f"{_WORDLESS}{text_key(text)}"


def count_words(text: str) -> int:
    """Words between spaces; of a script without spaces every letter counts as one."""
    return len(text.split()) if is_plain(text) else len(_patterns().counted.findall(text))


def word_places(text: str) -> list[tuple[int, int]]:
    """The start and end of the words that :func:`count_words` counts."""
    pattern = _BETWEEN_SPACES if is_plain(text) else _patterns().counted
    return [found.span() for found in pattern.finditer(text)]


def is_plain(text: str) -> bool:
    """Whether a text has no characters of scripts with marks or without spaces, and no invisible ones."""
    return not _NOT_PLAIN.search(text)


def is_unspaced(text: str) -> bool:
    """Whether a text has letters of a script that is written without spaces."""
    return not is_plain(text) and bool(_patterns().letter.search(text))


def _only_words(key: str) -> bool:
    """Whether no punctuation of an ASCII text can be a symbol; much faster than to look for symbols by a pattern."""
    shapes = key.encode().translate(_SHAPES)
    starts = b" ." in shapes or b" :" in shapes or shapes.startswith((b".", b":"))
    return not (starts or b"$" in shapes or b" / " in shapes)


def _read(found: re.Match[str]) -> Iterable[str]:
    """The words of a match: itself, or the pairs of letters of a run without spaces, its first group."""
    if not found[1]:
        return (found[0],)
    letters = found[0] if found[0].isalpha() else _patterns().letter.findall(found[0])
    return map("".join, pairwise(letters)) if len(letters) > 1 else letters


class _Patterns:
    """Patterns over the categories of Unicode, made for the first text that needs them."""

    def __init__(self) -> None:
        unspaced = re.compile(f"[{_UNSPACED}]")
        letters, spaced, marks, symbols = (list[str]() for _ in range(4))
        for code in (*range(0x80, 0x3400), *range(0xA000, 0xAC00), *range(0xF900, 0x10000)):
            character, category = chr(code), unicodedata.category(chr(code))
            if category[0] == "M":
                marks.append(character)
            elif category[0] == "S" and character not in "\u00af\u00b4\u00b8":
                symbols.append(character)
            elif category[0] in "LN":
                apart = unspaced.match(character) and category not in ("Nd", "No")
                (letters if apart else spaced).append(character)
        unspaced_letters = f"{_ranges(letters)}{_HAN}{_RARE_UNSPACED}"
        letter = f"[{unspaced_letters}]"
        follows = f"[{_ranges(marks)}{JOINERS}]"
        within = f"[0-9A-Z_a-z{_ranges(sorted(spaced + marks))}{_HANGUL}{_RARE}]"
        symbol = f"[{re.escape(_SYMBOLS)}{_ranges(sorted([*symbols, *_OTHER_SYMBOLS]))}{_RARE_SYMBOLS}]"
        run, word = f"(?:{letter}{follows}*)+", f"{within}+(?:[{JOINERS}]+{within}+)*"
        picture = rf"{symbol}(?:[{_ranges(marks)}{JOINERS}{TAGS}\U0001f3fb-\U0001f3ff]|(?<=\u200d){symbol})*"
        self.letter = re.compile(f"{letter}{follows}*")
        self.counted = re.compile(rf"{letter}{follows}*|[^\s{unspaced_letters}]+")
        self.word = re.compile(f"({run})|{word}")
        self.run = re.compile(f"{run}|{word}")
        self.token = re.compile(f"({run})|{word}|{_MEANT}|{picture}")
        self.plain_token = re.compile(rf"\w+|{_MEANT}|{symbol}")


def _ranges(characters: Sequence[str]) -> str:
    """Ascending characters as the ranges of a character class."""
    runs = groupby(enumerate(map(ord, characters)), lambda each: each[1] - each[0])
    codes = ([code for _, code in run] for _, run in runs)
    return "".join(f"\\u{run[0]:04x}-\\u{run[-1]:04x}" for run in codes)


@cache
def _patterns() -> _Patterns:
    return _Patterns()
