"""The words of texts in every script, and when two texts are nearly the same."""

import re
import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from registry.texts.forms import text_key
from registry.texts.words import count_words, near_key, runs, tokens, words

TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cn"]), max_size=30)
LATIN = st.text(st.characters(codec="cp1252"), max_size=40)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("What's a 3-day free trial, v2.0?", "What s a 3 day free trial v2 0"),
        ("Où est ma carte n°5 ?", "Où est ma carte n 5"),
        ("Где моя карта? Ёлка!", "Где моя карта Ёлка"),
        ("मैंने कार्ड खो दिया है। क्या करूँ?", "मैंने कार्ड खो दिया है क्या करूँ"),
        ("আমার কার্ড হারিয়ে গেছে।", "আমার কার্ড হারিয়ে গেছে"),
        ("எனது கடன் அட்டை", "எனது கடன் அட்டை"),
        ("నా కార్డు పోయింది", "నా కార్డు పోయింది"),
        ("ශ්\u200dරී ලංකා", "ශ්\u200dරී ලංකා"),
        ("فَقَدْتُ بِطَاقَتِي، ماذا أفعل؟", "فَقَدْتُ بِطَاقَتِي ماذا أفعل"),
        ("کارتم را گم کرده\u200cام؟", "کارتم را گم کرده\u200cام"),
        ("שָׁלוֹם עולם", "שָׁלוֹם עולם"),
        ("የጠፋ ካርድ። እርዱኝ", "የጠፋ ካርድ እርዱኝ"),
        ("བཀྲ་ཤིས་བདེ་ལེགས།", "བཀྲ ཤིས བདེ ལེགས"),
        ("카드를 잃어버렸어요.", "카드를 잃어버렸어요"),
        ("信用卡丢了，怎么办？", "信用 用卡 卡丢 丢了 怎么 么办"),
        ("VIP卡5张", "VIP 卡 5 张"),
        ("カードをなくした。", "カー ード ドを をな なく くし した"),
        ("ทำบัตรหาย 500 บาท", "ทำ ำบั บัต ตร รห หา าย 500 บา าท"),
        ("ຂ້ອຍເຮັດບັດເສຍ", "ຂ້ອ ອຍ ຍເ ເຮັ ຮັດ ດບັ ບັດ ດເ ເສ ສຍ"),
        ("ខ្ញុំបាត់ប័ណ្ណ", "ខ្ញុំ ញុំបា បាត់ ត់ប័ ប័ណ្ ណ្ណ"),
        ("ကတ်ပျောက်", "ကတ် တ်ပျော ပျောက်"),
    ],
    ids=lambda text: unicodedata.name(text[0]).split()[0].lower(),
)
def test_words_of_every_script(text, expected):
    assert words(text) == expected.split(" ")


@settings(max_examples=200)
@given(LATIN)
def test_latin_words_are_those_of_the_usual_pattern(text):
    assert words(text) == runs(text) == re.findall(r"\w+", text)


@settings(max_examples=300)
@given(TEXTS)
@example("我的信用卡")
@example("ไม่")
def test_no_letter_of_a_text_is_lost_and_words_read_again_are_the_same(text):
    letters = [each for each in text if each.isalpha()]
    found = words(text)
    assert set(letters) <= set("".join(found))
    assert [each for each in "".join(runs(text)) if each.isalpha()] == letters
    assert words(" ".join(found)) == found


@settings(max_examples=300)
@given(TEXTS, st.sampled_from(["NFC", "NFD", "NFKC"]))
@example("5  /  3", "NFC")
@example("a\x00b", "NFC")
def test_texts_that_are_the_same_are_nearly_the_same(text, form):
    if not set(text) & set("´™℠"):  # signs of rights are no words, but letters in NFKC
        assert near_key(unicodedata.normalize(form, text)) == near_key(text)
        assert near_key(text.casefold()) == near_key(text) == near_key(f" {text}\u3000")


@settings(max_examples=200)
@given(st.text(st.sampled_from("ab5 ,;:!?'\"().-/*=+#👍é中ก"), max_size=12))
def test_the_fast_way_of_plain_text_finds_the_same_tokens(text):
    assert tokens(f"{text} é")[:-1] == tokens(text) == tokens(f"{text} ก")[:-1]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("C++ course", "C# course"),
        ("C# course", "C course"),
        ("pay $5", "pay €5"),
        ("5 % off", "5 off"),
        ("it is -5 outside", "it is 5 outside"),
        ("what is 7 - 3", "what is 7 / 3"),
        ("what is 7*3", "what is 7+3"),
        ("a < b", "a > b"),
        ("a != b", "a = b"),
        ("what is .NET", "what is net"),
        ("great :-)", "great :-("),
        ("well done 👍", "well done 👎"),
        ("flag of 🇩🇪", "flag of 🇫🇷"),
        ("5′ long", "5″ long"),
        ("20 °C", "20 C"),
        ("...", "?!"),
        ("", "."),
    ],
)
def test_texts_whose_symbols_differ_are_different(one, other):
    assert near_key(one) != near_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Can I pay by card?", "can i pay by card"),
        ("e-mail, please!", "e mail please"),
        ("“What’s new?”", "What's new"),
        ("Aspirin® and Tylenol™", "Aspirin and Tylenol"),
        ("me – and you", "me - and you"),
        ("it is −5 °C", "it is -5 °C"),
        ("請問？怎麼辦！", "請問，怎麼辦"),
        ("क्या है?", "क्या है।"),
        ("* a point", "a point"),
        ("2024/01/02", "2024-01-02"),
    ],
)
def test_texts_that_differ_in_punctuation_are_nearly_the_same(one, other):
    assert near_key(one) == near_key(other)


@pytest.mark.parametrize(
    ("text", "number"),
    [("two words", 2), ("mother-in-law's house", 2), ("信用卡", 3), ("VIP卡 丢了", 4), ("ทำบัตร", 5), ("क्या करूँ ?", 3)],
)
def test_letters_count_as_words_where_there_are_no_spaces(text, number):
    assert count_words(text) == number


def test_invisible_differences_do_not_make_words():
    assert near_key("zero\u200bwidth") == near_key("zerowidth") == "zerowidth"
    assert text_key("\u200b") == "" and near_key("\u200b") == near_key("")
