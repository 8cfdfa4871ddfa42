"""Questions without a language model: titles and headings, sentences and keywords of the passages themselves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfVectorizer

from registry.texts.forms import text_key
from registry.texts.key_words import candidate_key_words
from registry.texts.sentences import split_sentences
from registry.texts.words import count_words
from training.synthesis.passages import MIN_WORDS, Passage, SyntheticPair

KEEP_SENTENCE = 0.1
"""Probability that a sentence that is a query also stays in its passage (0.1 is the value of Lee et al.)."""
SENTENCE_WORDS = (4, 40)
"""Minimum and maximum length of a sentence that becomes a query."""
KEYWORDS = (2, 5)
"""Minimum and maximum number of keywords in a query."""


def extract_pairs(passages: Sequence[Passage], seed: int) -> list[SyntheticPair]:
    """Pairs of three kinds, up to one of each for a passage, always the same for the same passages and seed.

    - ``sentence``: the sentence is the query, the rest of the passage its positive; in one case out of ten the sentence
      stays in it (the Inverse Cloze Task of Lee et al., 2019, "Latent Retrieval for Weakly Supervised Open Domain
      Question Answering", section 4).
    - ``title``: the title and the heading of a section are the query (Meng et al., 2022, "AugTriever: Unsupervised
      Dense Retrieval by Scalable Data Augmentation"). Those that several sections have in common are not used.
    - ``keywords``: two to five words with the highest TF-IDF weight in the passage are the query, in the order of the
      passage (after the representative words of Ma et al., 2021, "PROP").

    A passage has the same text in all its pairs: another version of it would be mined as a negative of its questions.

    Args:
        passages: in order.
        seed: of everything random.
    """
    draw = np.random.default_rng(seed)
    sentences, answers = [], []
    for passage in passages:
        sentence, answer = _inverse_cloze(passage.text, draw)
        sentences.append(sentence)
        answers.append(answer)
    captions = _unique_captions(passages)
    keywords = _keywords(answers, draw)
    return [
        SyntheticPair(question, answer, passage.document, passage.title, kind)
        for passage, answer, *questions in zip(passages, answers, captions, sentences, keywords, strict=True)
        for kind, question in zip(("title", "sentence", "keywords"), questions, strict=True)
        if question
    ]


def _inverse_cloze(text: str, draw: np.random.Generator) -> tuple[str, str]:
    """A sentence of a text and its positive; an empty one and the whole text if no sentence can be used."""
    sentences = split_sentences(text)
    shortest, longest = SENTENCE_WORDS
    words = [count_words(sentence) for sentence in sentences]
    usable = [i for i, count in enumerate(words) if shortest <= count <= longest and sum(words) - count >= MIN_WORDS]
    if not usable:
        return "", text
    chosen = usable[draw.integers(len(usable))]
    question = sentences[chosen].strip()
    if draw.random() < KEEP_SENTENCE:
        return question, text
    return question, "".join(sentences[:chosen] + sentences[chosen + 1 :]).strip()


def _unique_captions(passages: Sequence[Passage]) -> list[str]:
    """The caption of each passage; empty if another section has the same."""
    captions = [caption(passage) for passage in passages]
    sections: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for text, passage in zip(captions, passages, strict=True):
        sections[text_key(text)].add((passage.document, passage.heading))
    return [text if len(sections[text_key(text)]) == 1 else "" for text in captions]


def caption(passage: Passage) -> str:
    """Title and heading; only one of them if it contains the other."""
    title, heading = passage.title, passage.heading
    title_key, heading_key = text_key(title), text_key(heading)
    if heading_key in title_key:
        return title
    return heading if title_key in heading_key else f"{title}: {heading}"


def _keywords(texts: Sequence[str], draw: np.random.Generator) -> list[str]:
    """A few words of high weight of each text, in its order; empty for a text with too few different words."""
    vectorizer = TfidfVectorizer(sublinear_tf=True, analyzer=candidate_key_words)
    try:
        weights: csr_matrix = vectorizer.fit_transform(texts).tocsr()
    except ValueError:  # no words but stop words
        return [""] * len(texts)
    names = vectorizer.get_feature_names_out()
    fewest, most = KEYWORDS
    counts = draw.integers(fewest, most + 1, size=len(texts))
    found = []
    for row, text, count in zip(weights, texts, counts, strict=True):
        best: NDArray[np.int64] = row.indices[np.lexsort((row.indices, -row.data))][:count]
        chosen = {str(names[index]) for index in best}
        in_order = [word for word in dict.fromkeys(candidate_key_words(text)) if word in chosen]
        found.append(" ".join(in_order) if len(in_order) >= fewest else "")
    return found
