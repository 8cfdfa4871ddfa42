"""How the grades of a relevance judge change the relevance that mining uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.judges.grades import Grade, RelevanceJudge, checked_grades, is_relevant
from training.mining.hard_negatives import HARD_NEGATIVE_RANKS
from training.retrieval.ranking import NOTHING
from training.retrieval.states import State
from training.retrieval.texts import Texts
from training.runs.run import Run

BLOCK = 1000
"""Queries whose grades are saved at a time."""


class GradedRelevance:
    """Lets a judge grade the documents that each iteration ranks first and that are neither labelled nor graded yet.

    Documents that it finds relevant are relevant from then on; those that it finds irrelevant are negatives, whatever
    they score. Only training queries are graded, unlabelled ones included: the labels of dev and test do not change.
    Grading what the student ranks first, again after each iteration, is the method of arXiv 2512.08088.
    """

    def __init__(self, judge: RelevanceJudge, depth: int, run: Run, texts: Texts) -> None:
        """
        Args:
            judge: grades documents.
            depth: documents graded per query and iteration.
            run: saves the grades.
            texts: whose relevance is changed.
        """
        self._judge = judge
        self._depth = depth
        self._run = run
        self._texts = texts
        self._seen: list[set[int]] = [set(wrong) for wrong in texts.negatives["train"]]

    def update(self, state: State, step: str) -> dict[str, int]:
        """Grade what a state ranks first; returns how many documents were judged, and are relevant or unknown."""
        ranked, answers = state.ranked("train")[:, :HARD_NEGATIVE_RANKS], self._texts.answer_groups()
        grades: list[Grade] = []
        for start in range(0, len(ranked), BLOCK):
            block = {
                query: self._candidates(query, ranked[query], answers[query])
                for query in range(start, min(start + BLOCK, len(ranked)))
            }
            found = self._run.step(f"{step}-graded-{start}", partial(self._grade, block))
            for query, document, grade in found["grades"]:
                self._take(query, document, grade)
                grades.append(grade)
        relevant = sum(map(is_relevant, grades))
        return {"judged": len(grades), "relevant": relevant, "unknown": grades.count(None)}

    def _candidates(self, query: int, top: NDArray[np.int64], right: set[int]) -> list[int]:
        """The first documents that are in no group of answers and were not graded for the query before."""
        groups = self._texts.document_groups
        new = [int(document) for document in top if document != NOTHING and groups[document] not in right]
        return [document for document in new if document not in self._seen[query]][: self._depth]

    def _grade(self, block: Mapping[int, Sequence[int]]) -> dict[str, Any]:
        asked = {query: documents for query, documents in block.items() if documents}
        queries, texts = self._texts.queries["train"], self._texts.documents
        given = checked_grades(
            self._judge,
            [(queries[query], [texts[document] for document in documents]) for query, documents in asked.items()],
        )
        return {
            "grades": [
                [query, document, grade]
                for (query, documents), row in zip(asked.items(), given, strict=True)
                for document, grade in zip(documents, row, strict=True)
            ]
        }

    def _take(self, query: int, document: int, grade: Grade) -> None:
        self._seen[query].add(document)
        if grade is not None:
            (self._texts.relevant["train"] if is_relevant(grade) else self._texts.wrong)[query].add(document)
