"""Splits: every row in exactly one part, the reference protocol as published, and no near-duplicate across parts."""

from itertools import chain, combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from tests.training.splitting.test_near_duplicates import jaccard, templates
from training import SourceError
from training.sources.pairs import Pair
from training.splitting.splits import (
    MAX_DEV_ROWS,
    grouped_split,
    held_out_split,
    joint_groups,
    query_groups,
    random_split,
)


def groups_of(pairs):
    return joint_groups([pair.question for pair in pairs], [pair.answer for pair in pairs])


def parts(split):
    return [part.tolist() for part in (split.train, split.dev, split.test)]


def different(count):
    return [Pair(f"question {n} of thing {n * 7}", f"answer {n} is about {n * 3} and {n * 5}") for n in range(count)]


def related(seed=0, count=120):
    """Pairs of which many have questions or answers that are copies, more or less."""
    draw = np.random.default_rng(seed)
    questions = [f"how do I {verb} a {noun} today" for verb in ("buy", "sell", "mend") for noun in "abcdefghijkl"]
    answers = [" ".join(f"{name}{word}" for word in range(40)) for name in "nopqrstuvwxyz"] + different_answers(60)
    return [
        Pair(
            questions[draw.integers(len(questions))] + f" {draw.integers(40)}" * bool(draw.integers(4)),
            answers[draw.integers(len(answers))].replace("20", f"changed{draw.integers(50)}"),
        )
        for _ in range(count)
    ]


def different_answers(count):
    return [f"answer {number} says {number * 11} and no more" for number in range(count)]


@settings(max_examples=30)
@given(st.integers(4, 300), st.sampled_from([0.1, 0.2, 0.25, 0.5]), st.integers(0, 1000))
def test_random_is_the_split_of_scikit_learn_with_dev_taken_out_of_training(count, test_size, seed):
    split = random_split(count, test_size, seed)
    train, test = train_test_split(np.arange(count), test_size=test_size, random_state=seed)
    assert split.test.tolist() == test.tolist()
    assert sorted([*split.train.tolist(), *split.dev.tolist()]) == sorted(train.tolist())
    assert len(split.dev) == max(1, round(len(train) * 0.1))


def test_dev_has_a_most_size():
    assert len(random_split(20_000, 0.2, 42).dev) == MAX_DEV_ROWS


@pytest.mark.parametrize(("count", "test_size"), [(0, 0.2), (2, 0.2), (3, 0.9), (9, 0.9), (10, 0.9), (4, 0.7)])
def test_too_few_pairs_for_a_random_split_are_refused(count, test_size):
    with pytest.raises(SourceError, match=f"^{count} rows"):
        random_split(count, test_size, 42)


@settings(max_examples=15)
@given(st.integers(0, 10), st.sampled_from([0.1, 0.2, 0.4]))
def test_grouped_puts_every_pair_in_exactly_one_part_near_the_wished_sizes(seed, test_size):
    pairs = related(seed) + different(60)
    split = grouped_split(groups_of(pairs), test_size, seed)
    assert sorted(chain(*parts(split))) == list(range(len(pairs)))
    assert len(split.test) == pytest.approx(len(pairs) * test_size, abs=3)
    assert len(split.dev) == pytest.approx((len(pairs) - len(split.test)) * 0.1, abs=3)


@pytest.mark.parametrize("pairs", [related(), related(1), related(2, 60) + different(30)], ids=["a", "b", "c"])
def test_no_near_duplicate_straddles_a_grouped_split(pairs):
    check_apart(pairs, grouped_split(groups_of(pairs), 0.3, 42))


def test_no_near_duplicate_straddles_where_many_texts_come_from_one_template():
    texts = templates(loose=40, close=40)
    pairs = [Pair(f"question {number} about {number * 7}", text) for number, text in enumerate(texts)]
    check_apart(pairs, grouped_split(groups_of(pairs), 0.2, 42))


def check_apart(pairs, split):
    part = np.empty(len(pairs), dtype=int)
    for number, positions in enumerate(parts(split)):
        part[positions] = number
    for i in range(len(pairs)):
        for j in range(i):
            if part[i] != part[j]:
                assert jaccard(pairs[i].question, pairs[j].question) < 0.85
                assert jaccard(pairs[i].answer, pairs[j].answer) < 0.85


def test_a_question_and_an_answer_tie_pairs_together():
    pairs = [Pair("a b c", "one"), Pair("d e f", "one"), Pair("D, e f!", "two"), Pair("g h i", "three")]
    groups = groups_of(pairs)
    assert len(set(groups[:3].tolist())) == 1
    assert groups[3] != groups[0]


def test_a_question_that_equals_an_answer_ties_their_pairs():
    groups = joint_groups(["a b c", "d e f", "g h i"], ["d e f", "x y z", "j k l"]).tolist()
    assert groups == [0, 0, 1]


def test_the_same_seed_gives_the_same_grouped_split_and_another_seed_another():
    pairs = related()
    assert parts(grouped_split(groups_of(pairs), 0.2, 1)) == parts(grouped_split(groups_of(pairs), 0.2, 1))
    assert parts(grouped_split(groups_of(pairs), 0.2, 1)) != parts(grouped_split(groups_of(pairs), 0.2, 2))


@pytest.mark.parametrize("pairs", [[], different(1), different(2), different(3)[:1] * 50], ids=[0, 1, 2, "one group"])
def test_pairs_that_cannot_be_grouped_three_ways_are_refused(pairs):
    with pytest.raises(SourceError, match=f"^{len(pairs)} rows?"):
        grouped_split(groups_of(pairs), 0.2, 42)


def held(count, every=5):
    return np.arange(count) % every == 0


@pytest.mark.parametrize("grouped", [False, True])
def test_the_held_out_pairs_and_no_others_are_the_test_part(grouped):
    pairs = different(100)
    split = held_out_split(groups_of(pairs) if grouped else np.arange(100), seed=1, test=held(100))
    assert split.test.tolist() == list(range(0, 100, 5))
    assert sorted(chain(*parts(split))) == list(range(100))
    assert len(split.dev) == 8


@pytest.mark.parametrize("seed", range(3))
def test_near_duplicates_of_held_out_pairs_are_in_no_part(seed):
    pairs = related(seed, count=200)
    groups = groups_of(pairs)
    apart = np.isin(groups, np.unique(groups)[::3])
    first = np.array([apart[i] and groups.tolist().index(groups[i]) == i for i in range(200)])
    split = held_out_split(groups, seed, test=first)
    assert split.test.tolist() == np.flatnonzero(first).tolist()
    assert set(np.concatenate([split.train, split.dev])) == set(np.flatnonzero(~apart))
    assert not set(groups[split.train]) & set(groups[split.dev])


@pytest.mark.parametrize("grouped", [False, True])
def test_holding_out_all_or_nearly_all_is_refused(grouped):
    for kept in (0, 1):
        with pytest.raises(SourceError, match=f"{20 - kept} of 20 rows are held out.*hold out fewer"):
            held_out_split(groups_of(different(20)) if grouped else np.arange(20), seed=1, test=np.arange(20) >= kept)


@pytest.mark.parametrize("grouped", [False, True])
def test_pairs_held_out_for_dev_are_the_dev_part_and_the_test_part_is_dealt_from_the_others(grouped):
    pairs = different(100)
    split = held_out_split(groups_of(pairs) if grouped else np.arange(100), seed=1, dev=held(100), test_size=0.3)
    assert split.dev.tolist() == list(range(0, 100, 5))
    assert len(split.test) == 30
    assert sorted(chain(*parts(split))) == list(range(100))


@pytest.mark.parametrize("seed", range(3))
def test_parts_that_are_held_out_have_no_near_duplicates_in_each_other_or_in_training(seed):
    pairs = related(seed, count=200)
    groups = groups_of(pairs)
    draw = np.random.default_rng(seed)
    test, dev = draw.random(200) < 0.05, draw.random(200) < 0.1
    split = held_out_split(groups, seed, test=test, dev=dev)
    assert split.test.tolist() == np.flatnonzero(test).tolist()
    assert set(split.dev) <= set(np.flatnonzero(dev))
    for one, other in combinations(parts(split), 2):
        assert not set(groups[one]) & set(groups[other])


@settings(max_examples=30)
@given(
    st.lists(st.integers(1, 40), min_size=3, max_size=12), st.sampled_from([0.01, 0.2, 0.5, 0.9]), st.integers(0, 99)
)
def test_three_groups_of_any_size_are_enough(sizes, test_size, seed):
    groups = np.repeat(np.arange(len(sizes)), sizes)
    split = grouped_split(groups, test_size, seed)
    assert all(parts(split)) and sorted(chain(*parts(split))) == list(range(len(groups)))
    for one, other in combinations(parts(split), 2):
        assert set(groups[one]).isdisjoint(groups[other])
    if min(sizes) > len(groups) * test_size:
        assert len(split.test) == min(sizes)


@settings(max_examples=30)
@given(st.lists(st.integers(1, 20), min_size=2, max_size=8), st.sampled_from([0.05, 0.5]), st.integers(0, 99))
def test_beside_a_held_out_part_two_groups_are_enough(sizes, test_size, seed):
    groups = np.repeat(np.arange(len(sizes) + 1), [3, *sizes])
    for held in ({"test": groups == 0}, {"dev": groups == 0}):
        split = held_out_split(groups, seed, test_size=test_size, **held)
        assert all(parts(split)) and sorted(chain(*parts(split))) == list(range(len(groups)))


def test_two_groups_are_refused_with_advice_that_helps():
    groups = np.repeat([0, 1], 50)
    with pytest.raises(SourceError, match=r"100 rows in 2 groups .* unlike these, or choose `split` test") as error:
        grouped_split(groups, 0.2, 42)
    assert "random" not in str(error.value)


WORDS = [
    f"{first}{second}" for first in ("sun", "rain", "snow", "wind", "hail") for second in ("day", "fall", "storm", "y")
]


@settings(max_examples=20)
@given(st.integers(0, 999), st.integers(1, 4))
def test_pairs_that_go_both_ways_stay_together(seed, length):
    draw = np.random.default_rng(seed)
    texts = [f"{number} {' '.join(draw.choice(WORDS, length))}" for number in range(40)]
    forth = [Pair(*texts[at : at + 2]) for at in range(0, 40, 2)]
    back = [Pair(pair.answer.upper(), f"{pair.question}!") for pair in forth]
    groups = groups_of(forth + back)
    assert groups[:20].tolist() == groups[20:].tolist()
    assert len(set(groups.tolist())) == 20


def test_queries_of_a_collection_stay_with_those_that_they_answer_but_not_with_those_that_have_the_same_answer():
    queries = ["how do I pay", "Paying - how?", "where is my card", "my card is where", "who are you"]
    relevant = [["paying how"], ["a page"], ["My card is where?"], ["a page"], ["a page", "something else"]]
    assert query_groups(queries, relevant).tolist() == [0, 0, 1, 1, 2]


def dialogue(length, seed):
    """Turns of a conversation, of which some are the same in every conversation."""
    draw = np.random.default_rng(seed)
    return [
        str(draw.choice(["ok", "thanks a lot"]))
        if turn % 3 == 2
        else " ".join(f"w{word}" for word in draw.integers(9999, size=6))
        for turn in range(length)
    ]


def test_a_text_that_every_dialogue_has_does_not_tie_them_all(caplog):
    turns = [dialogue(6, seed) for seed in range(60)]
    pairs = [Pair(*pair) for each in turns for pair in pairwise(each)]
    groups = groups_of([*pairs, Pair(pairs[0].answer, pairs[0].question)])
    assert groups[-1] == groups[0]
    assert np.bincount(groups).max() <= len(pairs) / 2
    assert "do not keep questions and answers together" in caplog.text


def test_one_large_group_is_told(caplog):
    groups = np.array([0] * 30 + [1, 2, 3])
    split = grouped_split(groups, 0.2, 42)
    assert "30 of 33 rows are near-duplicates" in caplog.text
    assert len(split.train) >= 30
