"""Sentences of every script; Latin text is divided as it always was."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.texts.sentences import split_sentences

PIECES = st.sampled_from(
    [
        "a",
        "Dr.",
        "no!",
        "why?",
        "3.5",
        "é.",
        "“so.”",
        "है।",
        "١؟",
        "ہے۔",
        "卡。",
        "吗？！",
        "」",
        "ไทย",
        "ខ្មែរ។",
        "မြန်မာ။",
        " ",
    ]
)


@settings(max_examples=200)
@given(st.lists(PIECES).map("".join) | st.lists(PIECES).map(" ".join))
def test_sentences_joined_are_the_text(text):
    assert "".join(split_sentences(text)) == text


@settings(max_examples=200)
@given(st.lists(st.sampled_from(["a", "Dr.", "no!", "why?", "3.5", "é.", "“so.”", "…", "ç;"])).map(" ".join))
def test_latin_sentences_end_at_a_mark_before_a_space(text):
    assert [each.strip() for each in split_sentences(text)] == re.split(r"(?<=[.!?]) ", text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("कार्ड खो गया। क्या करूँ? धन्यवाद।", ["कार्ड खो गया।", "क्या करूँ?", "धन्यवाद।"]),
        ("খো গেছে।কী করব?", ["খো গেছে।", "কী করব?"]),
        ("ما العمل؟ شكرا. نعم", ["ما العمل؟", "شكرا.", "نعم"]),
        ("یہ کارڈ ہے۔ کیا کروں؟", ["یہ کارڈ ہے۔", "کیا کروں؟"]),
        ("卡丢了。怎么办？！谢谢！", ["卡丢了。", "怎么办？！", "谢谢！"]),
        ("「すごい。」と言った。はい", ["「すごい。」", "と言った。", "はい"]),
        ("値は３．５です．次", ["値は３．５です．", "次"]),
        ("ทำบัตรหาย ต้องทำอย่างไร 500 บาท", ["ทำบัตรหาย", "ต้องทำอย่างไร 500 บาท"]),
        ("បាត់ប័ណ្ណ។ ធ្វើអ្វី?", ["បាត់ប័ណ្ណ។", "ធ្វើអ្វី?"]),
        ("ကတ်ပျောက်တယ်။ ဘာလုပ်ရမလဲ။", ["ကတ်ပျောက်တယ်။", "ဘာလုပ်ရမလဲ။"]),
        ("ካርድ ጠፋ። እርዱኝ", ["ካርድ ጠፋ።", "እርዱኝ"]),
        ("Քարտը կորել է։ Օգնեք", ["Քարտը կորել է։", "Օգնեք"]),
    ],
)
def test_sentences_of_every_script(text, expected):
    assert [each.strip() for each in split_sentences(text)] == expected
