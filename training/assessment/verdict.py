"""Whether training is worthwhile, by rules of thumb that this project's own trainings support.

The learning curve is read off the trainings of the default recipe in benchmarks/RESULTS.md; see docs/train.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from registry.records import ComparisonRecord
from training.assessment.records import Ceiling, Finding, Verdict

FIRST_GAIN_AT = 100
"""Training queries up to which no gain is expected."""
CLOSED_PER_TENFOLD = 0.2
"""Fraction of the distance to the ceiling that ten times as many training queries close."""
MOST_CLOSED = 0.5
"""The largest such fraction that was measured."""
WORTHWHILE = 0.02
"""Gain in MRR@5 from which training is worthwhile: what is less was mostly within chance in our own trainings."""
DEVIATION = 0.17
"""Standard deviation over queries of an adapted model's gain in MRR@5; in our own trainings 0.13 to 0.19."""
SPOILED_FROM = 0.2
"""Fraction of dev queries that are bad, or loss of MRR@5 to bad labels, from which figures on dev mean little."""
UNREADABLE_FROM = 0.5
"""Fraction of unreadable texts from which another base model is needed."""


class Decision(NamedTuple):
    """A verdict, with the figures it rests on."""

    verdict: Verdict
    reason: str
    expected_gain: float
    more_pairs: int = 0


def closed(pairs: int) -> float:
    """The fraction of the distance to the ceiling that training on so many queries probably closes."""
    if pairs <= FIRST_GAIN_AT:
        return 0.0
    return min(MOST_CLOSED, CLOSED_PER_TENFOLD * math.log10(pairs / FIRST_GAIN_AT))


def pairs_for(fraction: float) -> int:
    """Training queries that close this fraction; the inverse of :func:`closed` up to ``MOST_CLOSED``."""
    return math.ceil(FIRST_GAIN_AT * 10 ** (fraction / CLOSED_PER_TENFOLD))


def hybrid_instead(hybrid: ComparisonRecord, expected_gain: float) -> str:
    """What a reason adds where BM25 beside the base model gains more than training probably would; else empty.

    Args:
        hybrid: compared with the base model in MRR@5.
        expected_gain: of training.
    """
    if hybrid.low <= 0 or hybrid.difference < expected_gain:
        return ""
    return f"; BM25 beside the base model gains {hybrid.difference:.3f} without training"


def visible_gain(queries: int) -> float:
    """Smallest gain in MRR@5 that a number of queries can tell from chance: the half-width of its 95 % interval."""
    return 1.96 * DEVIATION / math.sqrt(queries)


def decide(base: float, ceiling: Ceiling, findings: Mapping[str, Finding], pairs: int) -> Decision:
    """The verdict: faults of the model and of the data come first, since the other figures rest on both.

    Args:
        base: the base model's MRR@5 on dev.
        ceiling: the highest that adaptation may reach there.
        findings: by name.
        pairs: training queries with a relevant document.
    """
    room = max(0.0, ceiling.value - base)
    gain = closed(pairs) * room
    unreadable = max(findings["unreadable-queries"], findings["unreadable-documents"], key=lambda each: each.share)
    if unreadable.share >= UNREADABLE_FROM:
        return Decision(
            "choose-another-base-model",
            f"the base model cannot read {unreadable.share:.0%} of the {unreadable.name.removeprefix('unreadable-')}: "
            "different texts are the same to it, and training cannot mend that",
            gain,
        )
    if spoiled := _spoiled(ceiling, findings):
        return Decision("mend-the-data", spoiled, gain)
    if MOST_CLOSED * room < WORTHWHILE:
        return Decision(
            "do-not-fine-tune",
            f"the base model has {base:.3f} MRR@5 of about {ceiling.value:.3f} that these labels and this model allow: "
            "no number of pairs is likely to gain two points",
            gain,
        )
    if gain < WORTHWHILE:
        wanted = pairs_for(WORTHWHILE / room)
        return Decision(
            "collect-more-pairs",
            f"{pairs} training queries probably gain {gain:.3f} MRR@5 of {room:.3f} within reach, which chance could "
            f"hide; about {wanted} would gain {WORTHWHILE:g}",
            gain,
            wanted - pairs,
        )
    return Decision(
        "fine-tune",
        f"{pairs} training queries probably gain {gain:.3f} MRR@5 of {room:.3f} within reach; ten times as many, "
        f"{closed(10 * pairs) * room:.3f}",
        gain,
    )


def _spoiled(ceiling: Ceiling, findings: Mapping[str, Finding]) -> str:
    """Why figures on dev mean little; empty if they do not."""
    seen = findings["near-duplicates-across-splits"]
    if seen.share >= SPOILED_FROM:
        return (
            f"{seen.share:.0%} of the dev and test queries are near-duplicates of training queries: what a model gains "
            "on them says nothing about other questions; prepare with the split grouped"
        )
    lost = ceiling.contradictory_questions + ceiling.same_answer_twice
    if lost >= SPOILED_FROM:
        return (
            f"equal questions with different answers, and equal answers of which only some count as right, cost any "
            f"model {lost:.3f} MRR@5: merge them, for instance with the split grouped"
        )
    return ""
