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


@pytest.mark.parametrize(
    ("begin", "more", "end"),
    [
        ("我的信用卡昨天在车站丢了。", "然后又发生了别的事情。", "请问应该怎么挂失？"),
        ("मेरा कार्ड कल खो गया।", "फिर कुछ और भी हुआ था।", "मैं इसे कैसे बंद करूँ?"),
        ("فقدت بطاقتي أمس في المحطة. ", "ثم حدث شيء آخر هناك. ", "كيف يمكنني إيقافها الآن؟"),
    ],
)
def test_sentences_of_other_scripts_are_found_in_long_texts(begin, more, end):
    whole, first, last = pieces(begin + more * 20 + end)
    assert whole == (begin + more * 20 + end).strip()
    assert (first, last) == (begin.strip(), end)


def test_a_long_sentence_without_spaces_is_shortened():
    whole, first, last = pieces("信用卡" * 50)
    assert len(whole) == 150 and len(first) == len(last) == MAX_WORDS


@pytest.mark.parametrize("text", ["我的信用卡丢了。请问怎么办？", "ทำบัตรหาย ต้องทำอย่างไร"])
def test_a_short_text_stays_as_it_is(text):
    assert pieces(text) == [text]
