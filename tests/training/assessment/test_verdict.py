"""The verdict: faults first, then whether there is anything to gain, then whether there are enough pairs."""

from __future__ import annotations

from typing import get_args

import pytest

from registry.records import ComparisonRecord
from training.assessment.records import Ceiling, Finding, FindingName
from training.assessment.verdict import WORTHWHILE, Decision, closed, decide, hybrid_instead, pairs_for, visible_gain


def verdict(base: float = 0.5, value: float = 1.0, pairs: int = 2000, lost: float = 0, **counts: int) -> Decision:
    """The decision for a ceiling, and findings in so many of 100 texts."""
    ceiling = Ceiling(
        value=value, contradictory_questions=lost, same_answer_twice=0, unjudged_answers=0, out_of_reach=0
    )
    findings = {
        name: Finding(name=name, count=counts.get(name.replace("-", "_"), 0), looked_at=100, examples=[])
        for name in get_args(FindingName)
    }
    return decide(base, ceiling, findings, pairs)


def test_room_and_pairs_are_worth_training() -> None:
    found = verdict(base=0.6, pairs=10_000)
    assert found.verdict == "fine-tune"
    assert found.expected_gain == pytest.approx(0.4 * closed(10_000))
    assert found.more_pairs == 0
    assert "10000 training queries" in found.reason


def test_a_base_model_that_is_right_already_is_not_tuned() -> None:
    found = verdict(base=0.97)
    assert found.verdict == "do-not-fine-tune"
    assert found.more_pairs == 0
    assert "0.970 MRR@5 of about 1.000" in found.reason


def test_a_base_model_at_the_ceiling_of_its_labels_is_not_tuned() -> None:
    assert verdict(base=0.7, value=0.72).verdict == "do-not-fine-tune"


def test_few_pairs_are_told_how_many_more_would_do() -> None:
    found = verdict(base=0.8, pairs=120)
    assert found.verdict == "collect-more-pairs"
    assert found.expected_gain < WORTHWHILE
    enough = verdict(base=0.8, pairs=120 + found.more_pairs)
    assert (enough.verdict, enough.expected_gain) == ("fine-tune", pytest.approx(WORTHWHILE, abs=1e-3))


def test_no_pairs_gain_nothing() -> None:
    assert verdict(pairs=0).verdict == "collect-more-pairs"
    assert verdict(pairs=0).expected_gain == 0


@pytest.mark.parametrize("what", ["queries", "documents"])
def test_texts_that_the_model_cannot_read_need_another_model(what: str) -> None:
    found = verdict(**{f"unreadable_{what}": 50})
    assert found.verdict == "choose-another-base-model"
    assert f"50% of the {what}" in found.reason
    assert verdict(**{f"unreadable_{what}": 49}).verdict == "fine-tune"


def test_splits_that_share_queries_are_to_be_mended_first() -> None:
    found = verdict(near_duplicates_across_splits=20)
    assert found.verdict == "mend-the-data"
    assert "split grouped" in found.reason
    assert verdict(near_duplicates_across_splits=19).verdict == "fine-tune"


def test_labels_that_contradict_each_other_are_to_be_mended_first() -> None:
    found = verdict(value=0.75, lost=0.25)
    assert found.verdict == "mend-the-data"
    assert "cost any model 0.250 MRR@5" in found.reason


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5])
def test_the_learning_curve_and_its_inverse_agree(fraction: float) -> None:
    assert closed(pairs_for(fraction)) == pytest.approx(fraction, abs=1e-3)


def test_the_learning_curve_is_bounded() -> None:
    assert closed(0) == closed(100) == 0
    assert closed(10**9) == 0.5


def test_four_times_the_queries_show_half_the_gain() -> None:
    assert visible_gain(400) == pytest.approx(visible_gain(100) / 2)
    assert visible_gain(177) == pytest.approx(0.025, abs=1e-3)


@pytest.mark.parametrize(
    ("difference", "low", "expected", "said"),
    [(0.05, 0.01, 0.03, True), (0.05, -0.01, 0.03, False), (0.02, 0.01, 0.03, False)],
)
def test_a_hybrid_that_gains_more_for_certain_is_named(
    difference: float, low: float, expected: float, said: bool
) -> None:
    hybrid = ComparisonRecord(difference=difference, low=low, high=0.1, p_value=0.01)
    assert (f"BM25 beside the base model gains {difference:.3f}" in hybrid_instead(hybrid, expected)) is said
