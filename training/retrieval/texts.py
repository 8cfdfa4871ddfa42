"""Prepared data by position: the texts of documents and queries, and which documents answer which query."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from registry.texts.forms import text_key
from training.lazy_texts.sequences import Chained
from training.prepared.format import PreparedData
from training.retrieval.ranking import Span
from training.runs.progress import track
from training.splitting.near_duplicates import Grouping, near_duplicates


class Texts:
    """Documents, and the queries of each split with their relevant documents.

    A training query may have no known relevant document.

    A query's own documents are those with the same text, and those that the data name, unless the data call them
    relevant. They are not ranked for it, and are no negatives: no query is compared with itself.

    Attributes:
        documents: texts of the corpus, which may be read when they are accessed.
        queries: texts by split.
        relevant: for each query of a split, the positions of its relevant documents.
        own: for each query of a split, the positions of its own documents.
        negatives: for each query of a split, the positions of documents that the data say are irrelevant.
        wrong: for each training query, the positions of documents that a judge has graded irrelevant.
        parts: the texts of each set, if several are joined.
        grouping: finds near-duplicates.
    """

    def __init__(self, data: PreparedData, grouping: Grouping = near_duplicates) -> None:
        """
        Args:
            data: one prepared set, or several that are joined.
            grouping: finds near-duplicates, when they are needed.
        """
        self.grouping = grouping
        self.documents = data.documents.texts
        position = data.documents.positions
        self.queries = {split: [data.queries[name] for name in qrels] for split, qrels in data.qrels.items()}
        self.relevant = {
            split: [{position[name] for name in names} for names in qrels.values()]
            for split, qrels in data.qrels.items()
        }
        self.parts = {name: Texts(part, grouping) for name, part in data.parts.items()}
        self.own = self._own_of_parts() if data.parts else self._own(data, position)
        self.negatives = {
            split: [
                [position[name] for name in data.negatives.get(split, {}).get(query, ()) if position[name] not in own]
                for query, own in zip(qrels, self.own[split], strict=True)
            ]
            for split, qrels in data.qrels.items()
        }
        self.wrong: list[set[int]] = [set() for _ in self.queries["train"]]

    def spans(self, split: str) -> list[Span]:
        """Each set's queries of a split, and its documents; for a single set, all of them."""
        sets = list(self.parts.values()) or [self]
        queries = np.cumsum([0, *(len(each.queries[split]) for each in sets)]).tolist()
        documents = np.cumsum([0, *(len(each.documents) for each in sets)]).tolist()
        return [(slice(*rows), slice(*of)) for rows, of in zip(pairwise(queries), pairwise(documents), strict=True)]

    @property
    def document_groups(self) -> NDArray[np.int64]:
        """For each document the number of its group of near-duplicates, from 0 without gaps, ``(n,)``."""
        return self._groups[0]

    @property
    def query_groups(self) -> NDArray[np.int64]:
        """For each training query the number of the group of documents that are its near-duplicates; -1 for none."""
        return self._groups[1]

    def answer_groups(self) -> list[set[int]]:
        """For each training query the groups of documents that are never its negatives.

        They are those of documents that are relevant to it, or to another query with the same text, as far as that is
        known now; those of its own documents, and of near-duplicates of it.
        """
        groups, near = self.document_groups, self.query_groups.tolist()
        found: dict[str, set[int]] = defaultdict(set)
        keys = [text_key(text) for text in self.queries["train"]]
        queries = zip(keys, self.relevant["train"], self.own["train"], near, strict=True)
        for key, right, own, group in track(queries, "collecting answers", len(keys)):
            found[key].update(groups[sorted(right | own)].tolist(), () if group < 0 else (group,))
        return [set(found[key]) for key in keys]

    @cached_property
    def _groups(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        groups = self.grouping(Chained([self.documents, self.queries["train"]]))
        known, documents = np.unique(groups[: len(self.documents)], return_inverse=True)
        asked = groups[len(self.documents) :]
        place = np.searchsorted(known, asked).clip(max=len(known) - 1)
        return documents.ravel(), np.where(known[place] == asked, place, -1)

    def _own(self, data: PreparedData, position: Mapping[str, int]) -> dict[str, list[set[int]]]:
        asked = {text_key(query) for queries in self.queries.values() for query in queries}
        same: dict[str, list[int]] = defaultdict(list)
        for number, text in enumerate(self.documents):
            if (key := text_key(text)) in asked:
                same[key].append(number)
        return {
            split: [
                {*same.get(text_key(data.queries[query]), ()), *(position[name] for name in data.own.get(query, ()))}
                - relevant
                for query, relevant in zip(qrels, self.relevant[split], strict=True)
            ]
            for split, qrels in data.qrels.items()
        }

    def _own_of_parts(self) -> dict[str, list[set[int]]]:
        """Those of each set, in the positions of all sets' documents."""
        return {
            split: [
                {of.start + document for document in own}
                for part, (_, of) in zip(self.parts.values(), self.spans(split), strict=True)
                for own in part.own[split]
            ]
            for split in self.queries
        }
