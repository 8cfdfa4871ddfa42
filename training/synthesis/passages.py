"""Passages of documents: the text under one heading, split at sentence ends, without duplicates."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from registry.texts.forms import text_key
from registry.texts.words import count_words
from training.prepared.chunking import CHUNK_CHARACTERS, chunk
from training.synthesis.documents import Document

MIN_WORDS = 8
"""Shorter passages are left out: they say too little to answer a question."""


class Passage(NamedTuple):
    """A passage, the id and title of its document, and the heading of its section; title and heading may be empty."""

    document: str
    title: str
    heading: str
    text: str


class SyntheticPair(NamedTuple):
    """A question, the text that answers it, the document and title of that text, and how the question was made.

    Its grade is that of a judge, if there was one and it could decide.
    """

    question: str
    answer: str
    document: str
    title: str
    kind: str
    grade: int | None = None


def cut_passages(documents: Iterable[Document], size: int = CHUNK_CHARACTERS) -> list[Passage]:
    """The passages of documents, of at most ``size`` characters unless one sentence is longer, in order."""
    found: dict[str, Passage] = {}
    for document in documents:
        for heading, text in document.sections:
            for part in chunk(text, size):
                if count_words(part) >= MIN_WORDS:
                    found.setdefault(text_key(part), Passage(document.id, document.title, heading, part))
    return list(found.values())
