"""The same text: whatever its normal form, case and white space; and nothing else is."""

import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from registry.texts.forms import collapsed, text_key, visible

TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cn"]), max_size=30)
"""Of all characters that this Python knows."""


@settings(max_examples=300)
@given(TEXTS, st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]))
@example("e\u200d\u0301", "NFC")
@example("\u0345\u0323\u1fb3", "NFD")
@example("don\u00b4t", "NFKD")
@example("\ufdfa", "NFKC")
def test_every_normal_form_of_a_text_is_the_same_text(text, form):
    if "\u00b4" not in text:  # NFKC makes a space and a combining accent of it
        assert text_key(unicodedata.normalize(form, text)) == text_key(text)
    assert text_key(text_key(text)) == text_key(text)


@settings(max_examples=200)
@given(TEXTS)
@example("Straße")
@example("İstanbul")
@example("ΌΣΟΣ")
def test_case_and_white_space_make_no_other_text(text):
    assert text_key(text.casefold()) == text_key(text)
    spaced = "\u3000\n ".join(["", *text.split(), "\t"])
    assert text_key(spaced) == text_key(text)


@settings(max_examples=200)
@given(TEXTS)
def test_a_kept_text_is_in_normal_form_c_with_single_spaces(text):
    kept = collapsed(text)
    assert unicodedata.is_normalized("NFC", kept)
    assert kept == " ".join(kept.split())
    assert text_key(kept) == text_key(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("caf\u00e9", "CAFE\u0301"),
        ("ｆｕｌｌ ｗｉｄｔｈ", "full width"),
        ("ﾊﾝｶｸ", "ハンカク"),
        ("가", "\u1100\u1161"),
        ("one\u200bword", "oneword"),
        ("soft\u00adhyphen", "softhyphen"),
        ("\ufeffbyte order mark", "byte order mark"),
        ("no\u00a0break\u202fspace", "no break space"),
        ("a\u2800b\u3164c", "a b c"),
        ("x\u200dy", "xy"),
        ("\u202bright to left\u202c", "right to left"),
        ("nul\x00", "nul"),
        ("❤\ufe0f", "❤"),
        ("smuggled\U000e0068\U000e0069", "smuggled"),
        ("don´t", "don't"),
    ],
    ids=ascii,
)
def test_invisible_characters_and_exotic_blanks_make_no_other_text(one, other):
    assert text_key(one) == text_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("👍", "👎"),
        ("👍", "👍🏽"),
        ("👨\u200d👩\u200d👧", "👨👩👧"),
        (
            "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
            "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
        ),
        ("1\ufe0f\u20e3", "1"),
        ("C++", "C#"),
        ("$5", "5"),
        ("5 %", "5"),
        ("...", "???"),
        ("बाल", "बिल"),
        ("กินยา", "กันยา"),
        ("كَتَبَ", "كُتِبَ"),
        ("می\u200cخواهم", "میخواهم"),
        ("क\u094d\u200dष", "क\u094dष"),
        ("ශ්\u200dරී", "ශ්රී"),
        ("resume", "résumé"),
        ("ᠪ\u180b", "ᠪ"),
    ],
    ids=ascii,
)
def test_letters_marks_joiners_and_symbols_of_every_script_count(one, other):
    assert text_key(one) != text_key(other)


@pytest.mark.parametrize("text", ["", " ", "\u200b", "\u3164", "\x00\ufeff", "\u200d\u200c"], ids=ascii)
def test_a_text_of_which_nothing_can_be_seen_is_empty(text):
    assert text_key(text) == visible(text).strip() == ""
