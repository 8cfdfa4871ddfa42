"""Key words: of plain text as before, of every other script whole words."""

import builtins

import pytest

from registry.texts import key_words
from registry.texts.key_words import candidate_key_words
from training.synthesis.extraction import extract_pairs
from training.synthesis.passages import Passage


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The patient's follow-up is in 3 days, a B12 test", ["patient's", "follow-up", "days", "b12", "test"]),
        ("Où est la carte n°5 ?", ["où", "est", "la", "carte"]),
        ("मेरा कार्ड खो गया है।", ["मेरा", "कार्ड", "खो", "गया", "है"]),
        ("فَقَدْتُ بِطَاقَتِي، ماذا؟", ["فَقَدْتُ", "بِطَاقَتِي", "ماذا"]),
        ("کرده\u200cام ۱۲", ["کرده\u200cام"]),
        ("follow-up 👍 é", ["follow-up"]),
    ],
)
def test_words_of_scripts_with_spaces(text, expected):
    assert candidate_key_words(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("我的信用卡丢了，请问怎么办？", {"信用卡", "请问"}),
        ("ฉันทำบัตรเครดิตหาย", {"บัตร", "เครดิต", "หาย"}),
        ("クレジットカードをなくしました", {"クレジットカード"}),
        ("ខ្ញុំបានបាត់ប័ណ្ណឥណទាន", {"បាត់", "ប័ណ្ណឥណទាន"}),
        ("ລູກຄ້າຕ້ອງການເງິນກູ້", {"ລູກຄ້າ", "ຕ້ອງການ", "ເງິນ"}),
    ],
)
def test_words_of_scripts_without_spaces_are_found_by_a_dictionary(text, expected):
    pytest.importorskip("icu4py")
    found = candidate_key_words(text)
    assert expected <= set(found)
    assert all(word in text for word in found)


def test_without_a_dictionary_there_are_none_and_a_warning_says_so(monkeypatch, caplog):
    real = builtins.__import__

    def without_icu(name, *rest):
        if name.startswith("icu4py"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_icu)
    key_words._divide.cache_clear()
    try:
        assert candidate_key_words("信用卡 visa 丢了") == ["visa"]
        assert candidate_key_words("丢了") == []
    finally:
        key_words._divide.cache_clear()
    assert caplog.text.count("pip install 'domain-router[icu]'") == 1


def test_questions_of_key_words_have_whole_words():
    answers = ["मेरा कार्ड खो गया है। नया कार्ड दस दिन में मिलेगा।", "ऋण की दर पाँच प्रतिशत है। ऋण बैंक से मिलता है।"]
    pairs = extract_pairs([Passage(str(number), "", "", text) for number, text in enumerate(answers)], 0)
    found = {pair.answer: pair.question.split() for pair in pairs if pair.kind == "keywords"}
    assert len(found) == 2
    for answer, words in found.items():
        assert set(words) <= set(answer.replace("।", " ").split())
