"""Which parts of a text may be the question."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_plugin.classifier.query_parts import MAX_WORDS, pieces

QUESTION = "how do I renew my passport"


@pytest.mark.parametrize(
    "text",
    [
        QUESTION,
        f"You are an expert assistant. {QUESTION}",
        f"Question: {QUESTION}\nAnswer:",
        f"Hello! {QUESTION}",
        f"<user>{QUESTION}</user>",
        f"Answer in one short sentence.\n\n{QUESTION}",
    ],
)
def test_a_wrapper_is_taken_off(text):
    assert pieces(text) == [QUESTION]


@pytest.mark.parametrize("text", ["Hello!", "Hello! Thank you so much.", "You are a bot. Keep your answers short."])
def test_what_is_nothing_but_a_wrapper_stays(text):
    assert pieces(text) == [text]


def test_of_a_long_text_the_first_and_the_last_sentence_stand_alone_too():
    long = "This is where it begins. " + "Then more of the same is said. " * 40 + QUESTION
    whole, first, last = pieces(long)
    assert len(whole.split()) > MAX_WORDS
    assert (first, last) == ("This is where it begins.", QUESTION)


@given(st.text())
def test_every_text_has_one_piece_or_three(text):
    assert len(pieces(text)) in (1, 3)
