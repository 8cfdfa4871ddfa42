"""Near-duplicates: copies are found, different texts kept apart, whatever the order and the number of texts."""

import re
import tracemalloc
import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.splitting import near_duplicates as module
from training.splitting.near_duplicates import near_duplicates

LONG = [f"word{number}" for number in range(60)]
TEXT = " ".join(LONG)


def jaccard(one, other):
    """Similarity of 3-word shingles, counted independently; the edges of a text are words too."""
    sets = []
    for text in (one, other):
        words = ["<", *re.findall(r"\w+", text.casefold()), ">"]
        sets.append({tuple(words[start : start + 3]) for start in range(len(words) - 2)})
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1]) if sets[0] | sets[1] else 1.0


def templates(loose, close):
    """Texts of one template: loose ones, similar to no other, stand before close ones, all similar to each other."""
    texts = [f"{TEXT} {' '.join(f'loose{number}x{part}' for part in range(9))}" for number in range(loose)]
    return texts + [f"{TEXT} {' '.join(f'close{number}x{part}' for part in range(3))}" for number in range(close)]


def variants(count, seed):
    """Random texts, of which many are copies of others, with other case, or with a few words changed."""
    draw = np.random.default_rng(seed)
    texts = []
    for _ in range(count):
        if texts and draw.random() < 0.7:
            words = texts[draw.integers(len(texts))].split(" ")
            for _ in range(draw.integers(3)):
                words[draw.integers(len(words))] = f"new{draw.integers(9)}"
            texts.append(" ".join(words).upper() if draw.random() < 0.2 else " ".join(words))
        else:
            texts.append(" ".join(draw.choice(LONG, draw.integers(1, 40))))
    return texts


def compared_all_with_all(texts):
    """The groups in the order of their first texts, counted independently."""
    expected = np.arange(len(texts))
    for one in range(len(texts)):
        for other in range(one):
            if jaccard(texts[one], texts[other]) >= 0.85:
                expected[expected == expected[one]] = expected[other]
    number = {}
    return [number.setdefault(group, len(number)) for group in expected.tolist()]


def same(groups, *positions):
    return len({int(groups[position]) for position in positions}) == 1


@pytest.mark.parametrize(
    "copy",
    [
        TEXT.upper(),
        TEXT.replace(" ", ",  ") + "!!",
        TEXT.replace("word30", "another"),
        TEXT + " more",
        TEXT.removeprefix("word0 "),
    ],
    ids=["case", "punctuation", "one word", "a word more", "a word less"],
)
def test_a_copy_that_differs_a_little_is_found(copy):
    groups = near_duplicates(["something else", TEXT, "another thing", copy])
    assert same(groups, 1, 3)
    assert len(set(groups.tolist())) == 3


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("what is a contract", "what is a tort"),
        ("what is diabetes", "what is gout"),
        ("yes", "no"),
        ("", "a"),
        (TEXT, " ".join(reversed(LONG))),
        (TEXT, " ".join(LONG[:45])),
    ],
)
def test_different_texts_are_kept_apart(one, other):
    assert not same(near_duplicates([one, other]), 0, 1)


def test_similarity_is_transitive():
    steps = [TEXT, TEXT.replace("word10", "ten"), TEXT.replace("word10", "ten").replace("word50", "fifty")]
    steps.append(steps[-1].replace("word30", "thirty"))
    assert jaccard(steps[0], steps[3]) < 0.85
    assert same(near_duplicates(steps), 0, 1, 2, 3)


def test_empty_texts_are_equal_and_no_problem():
    groups = near_duplicates(["", "a", "\u200b", " ", "b"])
    assert same(groups, 0, 2, 3)
    assert len(set(groups.tolist())) == 3


@pytest.mark.parametrize(
    "texts",
    [
        ["बाल क्या है", "बिल क्या है", "बैल क्या है", "बोल क्या है"],
        ["กินยาตอนเช้า", "กันยาตอนเช้า"],
        ["كَتَبَ الولد", "كُتِبَ الولد"],
        ["C++ for beginners", "C# for beginners", "C for beginners"],
        ["a tip of $5", "a tip of 5 %", "a tip of 5"],
        ["👍", "👎", "👍👎", "...", "?!", "-", ""],
        ["我要退款", "我要付款"],
        ["ខ្ញុំបាត់ប័ណ្ណ", "ខ្ញុំបានប័ណ្ណ"],
    ],
    ids=ascii,
)
def test_texts_that_differ_in_marks_or_symbols_are_kept_apart(texts):
    assert len(set(near_duplicates(texts).tolist())) == len(texts)


@pytest.mark.parametrize(
    "text",
    [
        "Où est passée ma carte bancaire ?",
        "मैंने अपना कार्ड खो दिया है, क्या करूँ?",
        "請問我的信用卡丟了應該怎麼辦？",
        "ทำบัตรหายต้องทำอย่างไร",
    ],
)
@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
def test_normal_forms_and_punctuation_make_near_duplicates(text, form):
    others = [unicodedata.normalize(form, text), f"«{text}»", text.replace(" ", "\u3000"), f"\u200b{text.upper()}"]
    assert len(set(near_duplicates([text, *others]).tolist())) == 1


@pytest.mark.parametrize(
    "text",
    [
        "我的信用卡丢了，请问应该怎么办？我已经打过电话，但是没有人接。请尽快帮我挂失并寄一张新卡到我的地址，谢谢。",
        "ฉันทำบัตรเครดิตหายเมื่อวานนี้ที่สถานีรถไฟและโทรหาธนาคารแล้วแต่ไม่มีใครรับสาย กรุณาช่วยอายัดบัตรและส่งบัตรใหม่",
    ],
)
def test_a_letter_more_in_a_long_text_without_spaces_makes_a_near_duplicate(text):
    assert same(near_duplicates([text, text[1:], "别的" * 20]), 0, 1)
    assert not same(near_duplicates([text, text[::-1]]), 0, 1)


def test_one_text_is_a_group():
    assert near_duplicates(["a"]).tolist() == [0]
    assert near_duplicates([""]).tolist() == [0]


def test_no_texts_are_no_groups():
    assert near_duplicates([]).tolist() == []


def test_the_threshold_is_the_similarity_asked_for():
    other = TEXT.replace("word10", "ten").replace("word30", "thirty").replace("word50", "fifty")
    similarity = jaccard(TEXT, other)
    assert 0.7 < similarity < 0.85
    assert same(near_duplicates([TEXT, other], threshold=0.7), 0, 1)
    assert not same(near_duplicates([TEXT, other], threshold=0.85), 0, 1)


def test_copies_are_found_although_less_similar_texts_stand_before_them():
    texts = templates(loose=80, close=20)
    assert jaccard(texts[-1], texts[-2]) > 0.85 > jaccard(texts[0], texts[-1]) > jaccard(texts[0], texts[1])
    groups = near_duplicates(texts)
    assert same(groups, *range(80, 100))
    assert len(set(groups.tolist())) == 81


def test_groups_are_those_of_comparing_all_with_all():
    draw = np.random.default_rng(0)
    texts = []
    for number in range(150):
        words = [f"{'abc'[number % 3]}{word}" for word in LONG]
        for place in draw.integers(len(words), size=draw.integers(0, 6)):
            words[place] = f"changed{draw.integers(3)}"
        texts.append(" ".join(words))
    assert near_duplicates(texts).tolist() == compared_all_with_all(texts)


@settings(max_examples=25)
@given(seed=st.integers(0, 1 << 30), count=st.integers(0, 40), part=st.integers(1, 12), band_parts=st.integers(1, 3))
def test_parts_and_bands_of_any_size_give_the_same_groups(seed, count, part, band_parts):
    texts = variants(count, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "PART", part)
        patch.setattr(module, "BAND_PARTS", band_parts)
        assert near_duplicates(texts).tolist() == compared_all_with_all(texts)


def test_shingles_with_a_counter_in_common_change_no_group(monkeypatch):
    texts = variants(60, 0)
    expected = near_duplicates(texts).tolist()
    monkeypatch.setattr(module, "COUNTERS", 4)
    assert near_duplicates(texts).tolist() == expected


def test_the_order_of_texts_does_not_matter():
    texts = templates(loose=10, close=10) + [f"text {number}" for number in range(30)]
    order = np.random.default_rng(1).permutation(len(texts))
    groups = near_duplicates(texts)
    shuffled = near_duplicates([texts[position] for position in order])
    for i in range(len(texts)):
        for j in range(i):
            assert same(shuffled, i, j) == same(groups, order[i], order[j])


def test_one_long_text_does_not_cost_its_length_for_every_text():
    texts = [f"text number {number}" for number in range(300)] + ["word " * 20_000]
    near_duplicates(texts[:2])
    tracemalloc.start()
    near_duplicates(texts)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50e6
