"""Prepared data by position: the texts of documents and queries, and which documents answer which query."""

from __future__ import annotations

from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from training.prepared.format import PreparedData
from training.retrieval.ranking import Span
from training.splitting.near_duplicates import near_duplicates


class Texts:
    """Documents, and the queries of each split with their relevant documents.

    A training query may have no known relevant document.

    Attributes:
        documents: texts of the corpus.
        queries: texts by split.
        relevant: for each query of a split, the positions of its relevant documents.
        negatives: for each query of a split, the positions of documents that the data say are irrelevant.
        wrong: for each training query, the positions of documents that a judge has graded irrelevant.
        parts: the texts of each set, if several are joined.
    """

    def __init__(self, data: PreparedData) -> None:
        self.documents = list(data.corpus.values())
        position = {name: index for index, name in enumerate(data.corpus)}
        self.queries = {split: [data.queries[name] for name in qrels] for split, qrels in data.qrels.items()}
        self.relevant = {
            split: [{position[name] for name in names} for names in qrels.values()]
            for split, qrels in data.qrels.items()
        }
        self.negatives = {
            split: [[position[name] for name in data.negatives.get(split, {}).get(query, ())] for query in qrels]
            for split, qrels in data.qrels.items()
        }
        self.wrong: list[set[int]] = [set() for _ in self.queries["train"]]
        self.parts = {name: Texts(part) for name, part in data.parts.items()}

    def spans(self, split: str) -> list[Span]:
        """Each set's queries of a split, and its documents; for a single set, all of them."""
        sets = list(self.parts.values()) or [self]
        queries = np.cumsum([0, *(len(each.queries[split]) for each in sets)]).tolist()
        documents = np.cumsum([0, *(len(each.documents) for each in sets)]).tolist()
        return [(slice(*rows), slice(*of)) for rows, of in zip(pairwise(queries), pairwise(documents), strict=True)]

    @cached_property
    def document_groups(self) -> NDArray[np.int64]:
        """For each document the number of its group of near-duplicates, from 0 without gaps, ``(n,)``."""
        return near_duplicates(self.documents)
