"""A sample of the sentences of a domain's documents."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from registry.texts.forms import collapsed, text_key
from registry.texts.sentences import split_sentences
from registry.texts.words import count_words

MAX_SENTENCES = 500
"""However large a domain's corpus is."""
SENTENCE_WORDS = range(4, 61)
"""A shorter sentence is a heading, a longer one a list or a table."""


def sample_sentences(documents: Iterable[str], seed: int, limit: int = MAX_SENTENCES) -> list[str]:
    """At most ``limit`` different sentences of documents, of which no more than ``limit`` are read.

    Args:
        documents: any number, of any length.
        seed: of the sample.
        limit: number of sentences.
    """
    every = documents if isinstance(documents, Sequence) else list(documents)
    draw = np.random.default_rng(seed)
    chosen = [every[place] for place in draw.permutation(len(every))[:limit]]
    sentences = [sentence.strip() for text in chosen for sentence in split_sentences(collapsed(text))]
    different = {text_key(text): text for text in sentences if count_words(text) in SENTENCE_WORDS}
    found = list(different.values())
    return [found[place] for place in draw.permutation(len(found))[:limit]]
