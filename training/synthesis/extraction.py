"""Questions without a language model: titles and headings, sentences and key words of the passages themselves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfVectorizer

from training.prepared.chunking import join_sentences, split_sentences
from training.synthesis.passages import LEAST_WORDS, Passage, SyntheticPair, count_words

KEPT = 0.1
"""How often a sentence stays in the passage that it asks for."""
SENTENCE_WORDS = (4, 40)
KEY_WORDS = (2, 5)
_WORD = r"(?u)\b[^\W\d_][\w'-]+\b"


def extract_pairs(passages: Sequence[Passage], seed: int) -> list[SyntheticPair]:
    """Pairs of three kinds, up to one of each for a passage, always the same for the same passages and seed.

    - ``sentence``: a sentence of the passage asks for the rest of it, which stands without the sentence nine times of
      ten (the Inverse Cloze Task of Lee et al., 2019, "Latent Retrieval for Weakly Supervised Open Domain Question
      Answering", 4).
    - ``title``: the title and the heading ask for what stands under them (Meng et al., 2022, "AugTriever:
      Unsupervised Dense Retrieval by Scalable Data Augmentation"). What stands over several sections asks for none.
    - ``keywords``: two to five of the words that have the most weight in the passage by TF-IDF, in its order (after the
      representative words of Ma et al., 2021, "PROP").

    A passage has one text in all its pairs, so that no wording of it is learnt to be a wrong answer to another.

    Args:
        passages: in order.
        seed: of everything random.
    """
    draw = np.random.default_rng(seed)
    sentences, answers = [], []
    for passage in passages:
        sentence, answer = _cloze(passage.text, draw)
        sentences.append(sentence)
        answers.append(answer)
    captions = _captions(passages)
    key_words = _key_words(answers, draw)
    return [
        SyntheticPair(question, answer, passage.document, passage.title, kind)
        for passage, answer, *questions in zip(passages, answers, captions, sentences, key_words, strict=True)
        for kind, question in zip(("title", "sentence", "keywords"), questions, strict=True)
        if question
    ]


def _cloze(text: str, draw: np.random.Generator) -> tuple[str, str]:
    """A sentence and the text it asks for; none, and the whole text, where no sentence can be missed."""
    sentences = split_sentences(text)
    least, most = SENTENCE_WORDS
    words = [count_words(sentence) for sentence in sentences]
    usable = [i for i, count in enumerate(words) if least <= count <= most and sum(words) - count >= LEAST_WORDS]
    if not usable:
        return "", text
    chosen = usable[draw.integers(len(usable))]
    if draw.random() < KEPT:
        return sentences[chosen], text
    return sentences[chosen], join_sentences(sentences[:chosen] + sentences[chosen + 1 :])


def _captions(passages: Sequence[Passage]) -> list[str]:
    """The title and heading over each passage; empty where the same stand over another section."""
    captions = [caption(passage) for passage in passages]
    sections: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for text, passage in zip(captions, passages, strict=True):
        sections[text].add((passage.document, passage.heading))
    return [text if len(sections[text]) == 1 else "" for text in captions]


def caption(passage: Passage) -> str:
    """The title and the heading, of which one is enough where it says the other, too."""
    title, heading = passage.title, passage.heading
    if heading.casefold() in title.casefold():
        return title
    return heading if title.casefold() in heading.casefold() else f"{title}: {heading}"


def _key_words(texts: Sequence[str], draw: np.random.Generator) -> list[str]:
    """Of each text a few words of much weight, in its order; none of a text with less than two different ones."""
    vectorizer = TfidfVectorizer(stop_words="english", sublinear_tf=True, token_pattern=_WORD)
    try:
        weights: csr_matrix = vectorizer.fit_transform(texts).tocsr()
    except ValueError:  # not one word but stop words
        return [""] * len(texts)
    names, analyze = vectorizer.get_feature_names_out(), vectorizer.build_analyzer()
    least, most = KEY_WORDS
    counts = draw.integers(least, most + 1, size=len(texts))
    found = []
    for row, text, count in zip(weights, texts, counts, strict=True):
        best: NDArray[np.int64] = row.indices[np.lexsort((row.indices, -row.data))][:count]
        chosen = {str(names[index]) for index in best}
        in_order = [word for word in dict.fromkeys(analyze(text)) if word in chosen]
        found.append(" ".join(in_order) if len(in_order) >= least else "")
    return found
