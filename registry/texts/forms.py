"""The form in which texts are kept, and when two of them are the same text.

Unicode Standard Annex 15, "Unicode Normalization Forms", and Annex 31, 2.3, on joiners that carry meaning.
"""

from __future__ import annotations

import re
import unicodedata

JOINERS = "\u200c\u200d"
TAGS = "\U000e0020-\U000e007f"
_BLANKS = "\u2800\u3164\uffa0"
"""Braille's blank and the fillers of Hangul: visible as a space, though Unicode does not call them white space."""
_UNSEEN = (
    "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u115f\u1160\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f"
    "\ufe00-\ufe0f\ufeff\ufff9-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e001f\U000e0080-\U000e0fff"
)
"""Control characters and what Unicode calls default-ignorable, but for joiners, tags and marks of Mongolian."""
_JOINED = (
    "\u0600-\u0dff\u0f00-\u109f\u1700-\u1c7f\u1cd0-\u1cff\ua800-\uabff\ufb50-\ufdff\ufe70-\ufefc"
    "\U00010800-\U00011fff\U0001e900-\U0001e95f"
)
"""Letters and marks of scripts that a joiner changes: Arabic, those of India, Mongolian, Khmer, Burmese and others."""
_PICTURES = "\u00a9\u00ae\u203c-\u3299\U0001f000-\U0001faff"

_ODD = re.compile(f"[{_UNSEEN}{_BLANKS}{JOINERS}{TAGS}\u00b4]")
_IGNORED = re.compile(f"[{_UNSEEN}]")
_AS_SPACE = re.compile(f"[{_BLANKS}]")
_JOINERS_AND_TAGS = re.compile(
    rf"((?<=[{_JOINED}])[{JOINERS}](?=[{_JOINED}])|(?<=[{_PICTURES}])\u200d(?=[{_PICTURES}])|\U0001f3f4[{TAGS}]+)"
    rf"|[{JOINERS}{TAGS}]"
)
"""Those that carry meaning are the first group."""


def collapsed(text: str) -> str:
    """The text as it is kept and shown: in normal form C, with white space collapsed."""
    return " ".join(text.split() if text.isascii() else unicodedata.normalize("NFC", text).split())


def text_key(text: str) -> str:
    """Equal for texts that are the same text, whatever their normal form, case, white space and invisible characters.

    Letters, marks, digits, punctuation and symbols of every script count. Joiners count within words of scripts that
    they change, and within emoji. Empty where nothing of a text can be seen.
    """
    if text.isascii():
        key = " ".join(text.lower().split())
        return key if key.isprintable() else " ".join(_IGNORED.sub("", key).split())
    folded = unicodedata.normalize("NFKC", visible(text)).casefold()
    while (again := unicodedata.normalize("NFKC", folded).casefold()) != folded:
        folded = again
    return " ".join(folded.split())


def visible(text: str) -> str:
    """The text without invisible characters that change nothing, and with exotic blanks as spaces."""
    if not _ODD.search(text):
        return text
    seen = _AS_SPACE.sub(" ", _IGNORED.sub("", text)).replace("\u00b4", "'")  # NFKC would make a space of that accent
    return _JOINERS_AND_TAGS.sub(lambda found: found[0] if found[1] else "", seen)
