"""The result of an assessment: measurements, ceiling, findings and the verdict."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from registry.records import BaseModelRecord, ComparisonRecord, DatasetRecord, Record

Verdict = Literal["fine-tune", "collect-more-pairs", "do-not-fine-tune", "mend-the-data", "choose-another-base-model"]

FindingName = Literal[
    "near-duplicates-across-splits",
    "contradictory-questions",
    "same-answer-twice",
    "unjudged-answers",
    "unreadable-queries",
    "unreadable-documents",
    "truncated-documents",
]


class Finding(Record):
    """Something in the data that looks wrong."""

    name: FindingName
    count: int = Field(description="texts that show it")
    looked_at: int = Field(description="texts that were looked at")
    examples: list[str] = Field(description="a few of them")

    @property
    def share(self) -> float:
        """The fraction of the texts that show it."""
        return self.count / self.looked_at if self.looked_at else 0.0


class ErrorSplit(Record):
    """Dev queries by where the base model ranks their best relevant document."""

    first: int = Field(description="at rank 1: nothing to gain")
    within_reach: int = Field(description="at ranks 2 to 100, from which training mines")
    out_of_reach: int = Field(description="not within the first 100")


class Ceiling(Record):
    """An estimate of the highest MRR@5 on dev that adaptation may reach, and what keeps it from 1."""

    value: float
    contradictory_questions: float = Field(description="lost: equal questions want different answers first")
    same_answer_twice: float = Field(description="lost: equal documents of which only some count as right")
    unjudged_answers: float = Field(description="lost: documents that are probably right and do not count as such")
    out_of_reach: float = Field(description="lost: relevant documents that are not within the first 100")


class Assessment(Record):
    """What training could gain on prepared data. Nothing in it depends on the judgements of the test split."""

    base_model: BaseModelRecord
    dataset: DatasetRecord
    training_queries: int = Field(description="with a relevant document")
    dev_queries: int
    metrics: dict[str, dict[str, float]] = Field(description="on dev, of base, bm25 and hybrid")
    hybrid: dict[str, ComparisonRecord] = Field(description="the hybrid compared with the base model, by metric")
    errors: ErrorSplit
    ceiling: Ceiling
    findings: list[Finding] = Field(description="those that were looked for, found or not")
    expected_gain: float = Field(description="MRR@5 that training on these pairs probably gains")
    visible_gain: float = Field(description="smallest gain in MRR@5 that the dev queries can tell from chance")
    more_pairs: int = Field(description="pairs to add until training is worthwhile; 0 if it is, or never will be")
    verdict: Verdict
    reason: str

    @property
    def found(self) -> list[Finding]:
        """The findings that the data show."""
        return [finding for finding in self.findings if finding.count]
