"""Divides long texts into chunks at sentence ends."""

import re
from collections.abc import Sequence

CHUNK_CHARACTERS = 1000

_SENTENCE_END = re.compile(r"(?<=[.!?]) |(?<=[。！？])(?=.)")


def split_sentences(text: str) -> list[str]:
    """The sentences of a text with collapsed white space.

    A sentence ends at ``.``, ``!`` or ``?`` before a space, and at ``。``, ``！`` or ``？``.
    """
    return [sentence.strip() for sentence in _SENTENCE_END.split(text)]


def join_sentences(sentences: Sequence[str]) -> str:
    """The text whose sentences these are."""
    spaced = [f"{sentence} " if sentence.endswith((".", "!", "?")) else sentence for sentence in sentences]
    return "".join(spaced).strip()


def chunk(text: str, size: int = CHUNK_CHARACTERS) -> list[str]:
    """Divide a text of more than ``size`` characters.

    Sentences are packed greedily while the sum of their lengths, without the spaces between them, is at most ``size``.
    A longer sentence is a chunk of its own.
    """
    if len(text) <= size:
        return [text]
    chunks: list[list[str]] = [[]]
    length = 0
    for sentence in split_sentences(text):
        if chunks[-1] and length + len(sentence) > size:
            chunks.append([])
            length = 0
        chunks[-1].append(sentence)
        length += len(sentence)
    return [join_sentences(sentences) for sentences in chunks]
