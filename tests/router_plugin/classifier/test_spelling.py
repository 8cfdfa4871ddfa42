"""Correcting misspelt words by known ones, and leaving the rest alone."""

import random

import pytest

from registry.classifier_profiles.typos import misspell
from router_plugin.classifier.spelling import MAX_UNKNOWN, Corrector

CORRECTOR = Corrector(["transfer", "money", "savings", "account", "please", "from", "the", "to"])


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("transfr mony from saivngs", "transfer money from savings"),
        ("pleese transfre the mnoey", "please transfer the money"),
        ("TRANSFR MONY FROM SAIVNGS", "transfer money from savings"),
    ],
)
def test_words_that_are_nearly_known_are_corrected(written, meant):
    assert CORRECTOR.correct(written) == meant


@pytest.mark.parametrize(
    "text",
    [
        "transfer money from the savings account",
        "transfer money to the warfarin account please",
        "kto to jest",
        "",
        "1234567 7654321",
        " ".join(f"unknownword{chr(97 + number)}" for number in range(MAX_UNKNOWN + 1)),
    ],
)
def test_known_foreign_and_mostly_known_texts_stay_as_they_are(text):
    assert CORRECTOR.correct(text) == text


def test_words_with_marks_are_corrected_and_text_without_spaces_is_not():
    hindi = Corrector(["खाता", "पासवर्ड", "बदलना", "信用", "用卡"])
    assert hindi.correct("पासवरड बदलन") == "पासवर्ड बदलना"
    assert hindi.correct("信用证丢了怎么办") == "信用证丢了怎么办"
    assert hindi.correct("ทำบัตรเครดิตหาย") == "ทำบัตรเครดิตหาย"


def test_as_many_errors_are_made_as_asked_for():
    text = "how do I transfer money to my savings account " * 40
    draw = random.Random(0)
    assert misspell(text, draw, 0) == text
    changed = misspell(text, draw, 0.1)
    assert changed != text and abs(len(changed) - len(text)) < 0.05 * len(text)
    assert misspell(text, random.Random(1)) == misspell(text, random.Random(1))
