"""Divides long texts into chunks at sentence ends."""

from registry.texts.sentences import split_sentences

CHUNK_CHARACTERS = 1000


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
        if chunks[-1] and length + len(sentence.strip()) > size:
            chunks.append([])
            length = 0
        chunks[-1].append(sentence)
        length += len(sentence.strip())
    return ["".join(sentences).strip() for sentences in chunks]
