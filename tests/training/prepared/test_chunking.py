"""Chunking: nothing is lost, sizes are kept, and sentences are packed by the reference rule."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.prepared.chunking import CHUNK_CHARACTERS, chunk

texts = st.lists(st.sampled_from(["a", "bb.", "ccc!", "dddd?", "e.g.", "3.5", "...", "éé", "ffffffffff"])).map(" ".join)


def sentences(text):
    """An independent reading of the rule: a sentence ends at . ! or ? before a space."""
    found, start = [], 0
    for at in range(1, len(text)):
        if text[at] == " " and text[at - 1] in ".!?":
            found.append(text[start:at])
            start = at + 1
    return [*found, text[start:]]


@settings(max_examples=100)
@given(texts, st.integers(1, 40))
def test_chunks_joined_are_the_text(text, size):
    assert " ".join(chunk(text, size)) == text


@settings(max_examples=100)
@given(texts, st.integers(1, 40))
def test_a_chunk_is_within_the_size_unless_it_is_one_sentence(text, size):
    for part in chunk(text, size):
        inside = sentences(part)
        assert len(part) <= size or len(inside) == 1 or sum(map(len, inside)) <= size


@settings(max_examples=100)
@given(texts, st.integers(1, 40))
def test_chunks_are_packed_greedily(text, size):
    parts = chunk(text, size)
    for one, following in pairwise(parts):
        assert sum(map(len, sentences(one))) + len(sentences(following)[0]) > size


def test_a_text_of_just_the_size_stays_whole():
    text = "a. " * (CHUNK_CHARACTERS // 3) + "b"
    assert len(text) == CHUNK_CHARACTERS
    assert chunk(text) == [text]


def test_spaces_between_sentences_are_not_counted():
    assert chunk("aaaa. bbbb. cccc.", 10) == ["aaaa. bbbb.", "cccc."]
    assert chunk("aaaa. bbbb. cccc.", 9) == ["aaaa.", "bbbb.", "cccc."]


def test_a_longer_sentence_is_a_chunk_of_its_own():
    long = "A sentence without an end in sight."
    assert chunk(f"A. {long} B. C.", 8) == ["A.", long, "B. C."]


def test_sentences_of_a_script_without_spaces_are_cut_apart_and_joined_as_they_were():
    text = "头痛是常见的症状。多喝水可以缓解！你发烧了吗？请看医生。"
    assert chunk(text, 20) == ["头痛是常见的症状。多喝水可以缓解！", "你发烧了吗？请看医生。"]


def test_an_end_mark_inside_a_word_ends_nothing():
    assert chunk("version 3.5 of it. yes", 12) == ["version 3.5 of it.", "yes"]


@pytest.mark.parametrize(
    "sentence",
    [
        "मेरा कार्ड कल खो गया। ",
        "أين بطاقتي الآن؟ ",
        "میرا کارڈ گم ہو گیا ہے۔ ",
        "我的信用卡丢了。",
        "ฉันทำบัตรหายเมื่อวาน ",
        "បាត់ប័ណ្ណ។ ",
        "ကတ်ပျောက်တယ်။ ",
    ],
)
def test_long_texts_of_every_script_are_divided_at_sentence_ends(sentence):
    text = (sentence * 100).strip()
    parts = chunk(text, 200)
    assert len(parts) > 3
    assert all(len(part) <= 200 + part.count(" ") for part in parts)
    assert all(part.endswith(sentence.strip()) for part in parts)
    assert (" " if sentence.endswith(" ") else "").join(parts) == text
