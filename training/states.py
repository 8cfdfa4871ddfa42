"""One state of a model's weights and how it ranks the prepared data; every text is encoded once a state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer

from training.encoding import encode
from training.metrics import query_metrics, retrieval_metrics
from training.mining import DEPTH
from training.prepared import PreparedData
from training.ranking import Embeddings, ranking


class Texts:
    """Prepared data by position: documents, and the queries of each split with their relevant documents."""

    def __init__(self, data: PreparedData) -> None:
        self.documents = list(data.corpus.values())
        position = {name: index for index, name in enumerate(data.corpus)}
        self.queries = {split: [data.queries[name] for name in qrels] for split, qrels in data.qrels.items()}
        self.relevant = {
            split: [{position[name] for name in names} for names in qrels.values()]
            for split, qrels in data.qrels.items()
        }


class State:
    """A named set of weights. Its embeddings are kept in ``folder`` and read back memory-mapped."""

    def __init__(
        self, name: str, folder: Path, load: Callable[[], SentenceTransformer], texts: Texts, batch_size: int
    ) -> None:
        self.name = name
        self._folder = folder
        self._load = load
        self._texts = texts
        self._batch_size = batch_size
        folder.mkdir(parents=True, exist_ok=True)

    @cached_property
    def model(self) -> SentenceTransformer:
        """The model itself, loaded when something is to be encoded."""
        return self._load()

    @cached_property
    def documents(self) -> Embeddings:
        """Embeddings of the corpus, ``(n, d)``."""
        return self._embeddings("documents", self._texts.documents, "document")

    def query_embeddings(self, split: str) -> Embeddings:
        """Embeddings of a split's queries, ``(q, d)``."""
        return self._embeddings(f"{split} queries", self._texts.queries[split], "query")

    def ranked(self, split: str) -> NDArray[np.int64]:
        """The first documents of every query of a split: ``(q, 100)``, or the whole corpus where it is smaller."""
        return ranking(self.query_embeddings(split), self.documents, DEPTH)

    def metrics(self, split: str) -> dict[str, float]:
        """Retrieval metrics on a split."""
        return retrieval_metrics(self.ranked(split), self._texts.relevant[split])

    def query_metrics(self, split: str) -> dict[str, NDArray[np.float64]]:
        """The same metrics of every query of a split."""
        return query_metrics(self.ranked(split), self._texts.relevant[split])

    def forget_model(self) -> None:
        """Free the weights; what they encoded stays."""
        self.__dict__.pop("model", None)

    def _embeddings(self, what: str, texts: Sequence[str], kind: Literal["query", "document"]) -> Embeddings:
        path = self._folder / f"{what.replace(' ', '-')}.npy"
        if not path.exists():
            partial = path.with_suffix(".partial.npy")
            np.save(partial, encode(self.model, texts, kind, self._batch_size, f"{what} ({self.name})"))
            partial.rename(path)
        kept: Embeddings = np.load(path, mmap_mode="r", allow_pickle=False)
        return kept
