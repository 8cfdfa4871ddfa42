"""Cuts long answers into chunks on sentence ends."""

import re

CHUNK_CHARACTERS = 1000

_SENTENCE_END = re.compile(r"(?<=[.!?]) ")


def split_sentences(text: str) -> list[str]:
    """The sentences of a text whose white space is collapsed: one ends at ``.``, ``!`` or ``?`` before a space."""
    return _SENTENCE_END.split(text)


def chunk(text: str, size: int = CHUNK_CHARACTERS) -> list[str]:
    """Cut a text of more than ``size`` characters.

    Sentences are packed greedily while the sum of their lengths, the spaces between them not counted, is at most
    ``size``; a longer sentence is a chunk of its own.
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
    return [" ".join(sentences) for sentences in chunks]
