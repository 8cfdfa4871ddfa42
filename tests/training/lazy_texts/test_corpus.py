"""Documents by id and by position."""

from __future__ import annotations

from training.lazy_texts.corpus import Corpus


def test_a_corpus_is_the_mapping_that_it_stands_for() -> None:
    documents = {"b": "two", "a": "one"}
    corpus = Corpus.of(documents)
    assert corpus == documents == corpus and list(corpus) == ["b", "a"]
    assert corpus.texts == ["two", "one"] and corpus.positions == {"b": 0, "a": 1}
    assert Corpus.of(corpus) is corpus and corpus != {"a": "one"}
    assert corpus["a"] == "one" and "c" not in corpus and corpus.get("c") is None
