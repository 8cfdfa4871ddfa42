"""The parts of a text that may be the question: a wrapper around it, or pages before it, say nothing of its domain."""

from __future__ import annotations

import re

MOST_WORDS = 60
"""A longer text is looked at as a whole, and at its first and its last sentence alone."""
LEAST_WORDS = 3
"""Of a sentence that can be looked at alone."""

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
    """The text without instructions, greetings and names of roles; if it is long its first and its last sentence, too.

    A text that is nothing but such things stays as it is.
    """
    parts = [part for part in _ENDS.split(text) if part.strip()]
    if len(parts) > 1:
        parts = [part for part in parts if not _WRAPPER.fullmatch(part.strip())] or [text]
    words = " ".join(parts).split()
    if len(words) <= MOST_WORDS:
        return [" ".join(words)]
    sentences = [part.split() for part in parts if len(part.split()) >= LEAST_WORDS] or [words]
    return [" ".join(words), " ".join(sentences[0][:MOST_WORDS]), " ".join(sentences[-1][-MOST_WORDS:])]
