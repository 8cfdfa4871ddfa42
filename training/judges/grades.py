"""Relevance judges, the grades that they give, and from which grade on a document answers a query."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from training.errors import TrainingError

Grade = int | None
"""0 to 3, as in TREC: irrelevant, related but no answer, a partial answer, the answer. None: unknown."""
GRADES = (None, 0, 1, 2, 3)
RELEVANT = 2
"""The lowest grade of a document that answers a query."""


class RelevanceJudge(Protocol):
    """Grades how well documents answer a query."""

    identity: str
    """Names the judge and everything that its grades depend on: a run resumes only with the same identity."""

    def grade(self, asked: Sequence[tuple[str, Sequence[str]]]) -> list[list[Grade]]:
        """For each query with documents, the grade of each document."""


@runtime_checkable
class MeteredJudge(RelevanceJudge, Protocol):
    """A relevance judge that counts its costs."""

    def spent(self) -> str:
        """Requests, tokens and money in words."""


def checked_grades(judge: RelevanceJudge, asked: Sequence[tuple[str, Sequence[str]]]) -> list[list[Grade]]:
    """What a judge, perhaps a plugin's, says of each document of each query.

    Raises:
        TrainingError: not one valid grade for each.
    """
    given = judge.grade(asked)
    counts = [len(documents) for _, documents in asked]
    if list(map(len, given)) != counts or not all(grade in GRADES for row in given for grade in row):
        raise TrainingError(f"judge {judge.identity}: expected a grade from 0 to 3, or None, for each document")
    return given


def is_relevant(grade: Grade) -> bool:
    """Whether a grade says that the document answers the query."""
    return grade is not None and grade >= RELEVANT
