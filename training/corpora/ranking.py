"""The top k documents of every query over the parts of a corpus, which are ranked apart and merged in their order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from training.cluster.engines import Engine
from training.corpora.records import CorpusManifest, ShardEntry
from training.corpora.shard_folder import ShardFolder
from training.corpora.vector_files import read_vectors
from training.retrieval.ranking import DOCUMENT_BLOCK, Embeddings, LeftOut, merged, top_k
from training.runs.progress import track

PART = 4 * DOCUMENT_BLOCK
"""Documents ranked at a time by one worker: whole blocks, so that products are the same as in one process."""

Top = tuple[NDArray[np.float32], NDArray[np.int64]]
"""Scores and positions of documents, best first, ``(q, k)`` each."""


class Part(Protocol):
    """Consecutive documents."""

    @property
    def start(self) -> int:
        """Number of the first of them."""

    def read(self) -> Embeddings:
        """Their unit vectors, ``(n, d)``."""


@dataclass(frozen=True)
class Rows:
    """Documents that are rows of vectors which all workers can read."""

    vectors: Embeddings
    start: int

    def __str__(self) -> str:
        return f"the documents from {self.start} on"

    def read(self) -> Embeddings:
        """See :class:`Part`."""
        return self.vectors


@dataclass(frozen=True)
class Shard:
    """Documents that are a shard of a folder."""

    folder: ShardFolder
    entry: ShardEntry
    start: int

    def __str__(self) -> str:
        return f"{self.folder.url}/{self.entry.file}"

    def read(self) -> Embeddings:
        """See :class:`Part`.

        Raises:
            CorpusError: the shard is missing, or was changed.
        """
        return read_vectors(self.folder, self.entry.file, self.entry.sha256)


def rank_corpus(engine: Engine, queries: Embeddings, folder: ShardFolder, manifest: CorpusManifest, k: int) -> Top:
    """The first documents of every query in an encoded corpus, a shard at a time.

    Args:
        engine: where shards are ranked.
        queries: unit vectors, ``(q, d)``.
        folder: that ``domain-router encode`` wrote.
        manifest: of the folder.
        k: documents to keep.

    Returns:
        See :func:`training.retrieval.ranking.top_k`; positions count the texts of all shards.

    Raises:
        CorpusError: a shard is missing, or was changed.
    """
    starts = accumulate((entry.count for entry in manifest.shards), initial=0)
    return rank_parts(engine, queries, [Shard(folder, *each) for each in zip(manifest.shards, starts, strict=False)], k)


def top_k_by_parts(
    engine: Engine, queries: Embeddings, documents: Embeddings, k: int, left_out: LeftOut = ()
) -> Iterator[Top]:
    """The same as :func:`training.retrieval.ranking.top_k`, all queries at once."""
    starts = range(0, len(documents), PART)
    parts = [Rows(_rows(documents, slice(start, start + PART)), start) for start in starts]
    yield rank_parts(engine, queries, parts, k, left_out)


def rank_parts(engine: Engine, queries: Embeddings, parts: Sequence[Part], k: int, left_out: LeftOut = ()) -> Top:
    """The first documents of every query over all parts; see :func:`rank_corpus`."""
    scores, positions = torch.empty(len(queries), 0), torch.empty(len(queries), 0, dtype=torch.long)
    if not len(queries):
        return np.empty((0, 0), np.float32), np.empty((0, 0), np.int64)
    what = "ranking documents"
    for found, where in track(engine.map(partial(RankPart, queries, k, left_out), parts, what), what, len(parts)):
        scores, positions = merged(scores, positions, torch.from_numpy(found), torch.from_numpy(where), k)
    return scores.numpy(), positions.numpy()


class RankPart:
    """Ranks one part after another for the same queries."""

    def __init__(self, queries: Embeddings, k: int, left_out: LeftOut, device: str | None) -> None:
        """
        Args:
            queries: unit vectors, ``(q, d)``.
            k: documents to keep.
            left_out: for each query the positions of documents that are not ranked.
            device: where products are computed.
        """
        self._queries, self._k, self._left_out, self._device = queries, k, left_out, device or "cpu"

    def __call__(self, part: Part) -> Top:
        """The first documents of a part, by their positions among all."""
        apart = [{position - part.start for position in each} for each in self._left_out]
        blocks = list(top_k(self._queries, part.read(), self._k, self._device, apart))
        scores, positions = (np.concatenate(each) for each in zip(*blocks, strict=True))
        return scores.copy(), np.where(positions < 0, positions, positions + part.start)


def _rows(vectors: Embeddings, rows: slice) -> Embeddings:
    return vectors[rows] if isinstance(vectors, np.ndarray) else vectors.span(rows)
