"""Finds the parts of a text that may be the question: wrappers and long texts around it say little about its domain."""

from __future__ import annotations

import re

from registry.texts.sentences import split_sentences
from registry.texts.words import count_words, is_unspaced

MAX_WORDS = 60
"""A longer text is classified as a whole, and by its first and its last sentence separately."""
MIN_WORDS = 3
"""A shorter sentence is not classified separately."""

_ENDS = re.compile(r"(?<=[.!?])\s+|\n+|(?<=\w):\s+|</?\w+>|\s(?:-{2,}|\"{3,}|`{3,}|#{2,})\s")
_WRAPPER = re.compile(
    r"""(?: you\ are\ (?:an?|the)\b .* \b(?:assistant|expert|bot|model|ai|helper|agent)\b
          | (?:please\ )? (?:answer|reply|respond|be|think|use|do\ not|don't|keep|write|give|return|translate|just)\b
            .* \b(?:question|answers?|brief|concise|polite(?:ly)?|short|steps?|below|following|nothing|json|format)\b
            .{0,60}
          | (?:system|user|human|assistant|instructions?|prompt|query|question|q|answer|a|input|output|context|task)
          | (?:hi|hello|hey|dear|good\ (?:morning|day|evening))\b .{0,60}
          | (?:many\ )?(?:thanks|thank\ you|regards|cheers|best)\b .{0,60}
        ) [\s.!?:,]*""",
    re.IGNORECASE | re.VERBOSE,
)


def pieces(text: str) -> list[str]:
    """The text without instructions, greetings and names of roles; if it is long, also its first and its last sentence.

    A text that consists only of such things stays as it is.
    """
    parts = [part for part in _ENDS.split(text) if part.strip()]
    if len(parts) > 1:
        parts = [part for part in parts if not _WRAPPER.fullmatch(part.strip())] or [text]
    whole = " ".join(" ".join(parts).split())
    if count_words(whole) <= MAX_WORDS:
        return [whole]
    sentences = [sentence for part in parts for sentence in split_sentences(part)]
    sentences = [sentence for sentence in sentences if count_words(sentence) >= MIN_WORDS] or [whole]
    return [whole, _shortened(sentences[0], slice(MAX_WORDS)), _shortened(sentences[-1], slice(-MAX_WORDS, None))]


def _shortened(sentence: str, kept: slice) -> str:
    """Some words of a sentence, or as many characters where it is written without spaces."""
    if is_unspaced(sentence):
        return sentence[kept].strip()
    return " ".join(sentence.split()[kept])
