"""Encoding: every vector is kept under its text, and none that could not be ranked."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training import TrainingError
from training.retrieval.encoding import TorchBlocks, encode


class Lengths:
    """Encodes a text as its length, or as what a text says that is no finite number."""

    dimension = 2

    def encode(self, texts, kind, batch_size):
        return np.array([[float(text) if text in BROKEN else len(text), 0] for text in texts], dtype=np.float32)


BROKEN = ("nan", "inf", "-inf")


@settings(max_examples=25)
@given(st.lists(st.text("ab", max_size=5), min_size=1, max_size=20))
def test_every_text_has_the_vector_that_it_was_given(tmp_path, texts):
    vectors = encode(Lengths(), texts, "document", 4, "texts", tmp_path / "v.npy")
    assert vectors[:, 0].tolist() == list(map(len, texts))


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("place", [0, 3, 599])
def test_a_vector_that_is_not_finite_is_refused_and_its_text_named(tmp_path, broken, place):
    assert not math.isfinite(float(broken))
    texts = ["a" * (number % 7) for number in range(600)]
    texts[place] = broken
    with pytest.raises(
        TrainingError, match=f"^encoding queries: the vector of '{broken}' is not finite: .*`base_model`"
    ):
        encode(Lengths(), texts, "query", 32, "queries", tmp_path / "v.npy")


class Recording:
    """Stands for a model that reads up to ``max_seq_length`` tokens; keeps how many texts it is given at a time."""

    def __init__(self, max_seq_length):
        self.max_seq_length = max_seq_length
        self.given = []

    def get_embedding_dimension(self):
        return 2

    def encode_document(self, texts, **options):
        self.given.append(len(texts))
        return np.full((len(texts), 2), len(texts), np.float32)

    encode_query = encode_document


@pytest.mark.parametrize(
    ("length", "given"),
    [(8192, [2, 2, 2, 16, 42]), (256, [64]), (None, [1, 1, 1, 1, 1, 1, 16, 42])],
)
def test_few_long_texts_are_encoded_at_a_time(length, given):
    texts = ["a" * 90_000] * 4 + ["b" * 25_000] * 2 + ["c" * 3_000] * 16 + ["d" * 30] * 42
    model = Recording(length)
    vectors = TorchBlocks(model).encode(texts, "document", 64)
    assert model.given == given
    assert vectors[:, 0].tolist() == [count for count in given for _ in range(count)]
