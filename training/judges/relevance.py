"""Relevance judges, and what their grades change of the relevance that mining goes by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from training.errors import TrainingError
from training.mining.hard_negatives import HARD_NEGATIVE_RANKS
from training.retrieval.states import State, Texts
from training.runs.run import Run

Grade = int | None
"""0 to 3, as TREC has it: beside the point, on the subject but no answer, some answer, the answer. None: unknown."""
GRADES = (None, 0, 1, 2, 3)
RELEVANT = 2
"""The least grade of what answers a query."""
DEPTH = 5
"""Documents that are judged for a query in an iteration."""
BLOCK = 1000
"""Queries whose grades are kept at a time."""


class RelevanceJudge(Protocol):
    """Grades how well documents answer a query.

    One may also have ``spent()``, words on what it has cost.
    """

    identity: str
    """Names the judge and all that its grades depend on: a run goes on only with the same."""

    def grade(self, asked: Sequence[tuple[str, Sequence[str]]]) -> list[list[Grade]]:
        """For each query with documents, the grade of each document."""


class JudgedRelevance:
    """Lets a judge see what each iteration ranks first of what no one has judged before, also for unlabelled queries.

    What it finds relevant is relevant from then on, and what it finds wrong is a negative, however it scores. Training
    queries only: the labels of dev and test stay as they are. Judging what the student ranks first, again after each
    iteration, is the method of arXiv 2512.08088.
    """

    def __init__(self, judge: RelevanceJudge, depth: int, run: Run, texts: Texts) -> None:
        """
        Args:
            judge: grades.
            depth: documents a query in an iteration.
            run: keeps the grades.
            texts: whose relevance is changed.
        """
        self._judge = judge
        self._depth = depth
        self._run = run
        self._texts = texts
        self._seen: list[set[int]] = [set(wrong) for wrong in texts.negatives["train"]]

    def update(self, state: State, step: str) -> dict[str, int]:
        """Judge what a state ranks first; returns how many documents were judged, how many are relevant or unknown."""
        ranked = state.ranked("train")[:, :HARD_NEGATIVE_RANKS]
        grades: list[Grade] = []
        for start in range(0, len(ranked), BLOCK):
            block = {start + row: self._candidates(start + row, top) for row, top in enumerate(ranked[start:][:BLOCK])}
            found = self._run.step(f"{step}-judged-{start}", partial(self._grade, block))
            for query, document, grade in found["grades"]:
                self._take(query, document, grade)
                grades.append(grade)
        relevant = sum(grade is not None and grade >= RELEVANT for grade in grades)
        return {"judged": len(grades), "relevant": relevant, "unknown": grades.count(None)}

    def _candidates(self, query: int, top: NDArray[np.int64]) -> list[int]:
        """The first documents that neither answer the query, so far as is known, nor were judged for it before."""
        groups = self._texts.document_groups
        right = set(groups[sorted(self._texts.relevant["train"][query])].tolist())
        new = [int(document) for document in top if groups[document] not in right]
        return [document for document in new if document not in self._seen[query]][: self._depth]

    def _grade(self, block: Mapping[int, Sequence[int]]) -> dict[str, Any]:
        asked = {query: documents for query, documents in block.items() if documents}
        queries, texts = self._texts.queries["train"], self._texts.documents
        given = self._judge.grade(
            [(queries[query], [texts[document] for document in documents]) for query, documents in asked.items()]
        )
        self._check(list(map(len, asked.values())), given)
        return {
            "grades": [
                [query, document, grade]
                for (query, documents), row in zip(asked.items(), given, strict=True)
                for document, grade in zip(documents, row, strict=True)
            ]
        }

    def _check(self, counts: Sequence[int], given: Sequence[Sequence[Grade]]) -> None:
        if list(map(len, given)) != list(counts) or not all(grade in GRADES for row in given for grade in row):
            raise TrainingError(
                f"judge {self._judge.identity}: expected a grade from 0 to 3, or None, for each document"
            )

    def _take(self, query: int, document: int, grade: Grade) -> None:
        self._seen[query].add(document)
        if grade is not None:
            (self._texts.relevant["train"] if grade >= RELEVANT else self._texts.wrong)[query].add(document)
