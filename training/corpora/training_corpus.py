"""The corpus of a training run, encoded and ranked on a cluster with the same result as in one process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from registry import BaseModelFiles
from training.cluster.engines import Engine, open_engine
from training.corpora.cutting import cut
from training.corpora.encoding import encode_shards
from training.corpora.model_source import ModelSource
from training.corpora.options import EncodeOptions
from training.corpora.ranking import PART, top_k_by_parts
from training.corpora.shard_folder import ShardFolder
from training.corpora.vector_files import read_vectors
from training.retrieval.encoding import BLOCK, longest_first
from training.retrieval.ranking import Embeddings, LeftOut, top_k
from training.retrieval.vectors import StoredVectors
from training.runs.progress import bar

SHARD = 8 * BLOCK
"""Texts of a shard: whole blocks of the order in which one process encodes, so that vectors are the same."""


class ClusterCorpus:
    """See :class:`training.retrieval.states.CorpusWork`. Workers must reach the folder of the run."""

    def __init__(self, engine: Engine, base: BaseModelFiles, trust_remote_code: bool) -> None:
        """
        Args:
            engine: where the work is done.
            base: the base model of the run.
            trust_remote_code: let models run code of their own.
        """
        self._engine = engine
        self._base = base
        self._trust_remote_code = trust_remote_code

    def encode(self, weights: Path, texts: Sequence[str], batch_size: int, path: Path) -> None:
        """See :class:`training.retrieval.states.CorpusWork`; shards are kept until the file is whole.

        Raises:
            CorpusError: a shard cannot be encoded.
            TrainingError: a vector is not finite.
        """
        folder = ShardFolder(path.with_suffix(".shards"))
        order = longest_first(texts)
        shards = cut(((str(row), texts[row]) for row in order), folder, SHARD)
        model = ModelSource(str(weights), weights, self._base, trust_remote_code=self._trust_remote_code)
        identity = model.identity(EncodeOptions(encode_batch=batch_size))
        vectors = None
        with bar("encoding documents", len(texts)) as advance:
            for _, found in encode_shards(folder, shards, model, identity, self._engine):
                if vectors is None:
                    vectors = StoredVectors.create(path, len(texts), found.dimension)
                rows = order[found.shard.start : found.shard.start + found.shard.count]
                vectors[rows] = read_vectors(folder, found.file, found.sha256)
                advance(len(rows))
        folder.remove()

    def top_k(
        self, queries: Embeddings, documents: Embeddings, k: int, device: str = "cpu", left_out: LeftOut = ()
    ) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64]]]:
        """See :func:`training.retrieval.ranking.top_k`; of several parts, products are computed where the engine says.

        A single part is ranked in this process, before a worker would have started.
        """
        if len(documents) <= PART:
            return top_k(queries, documents, k, device, left_out)
        return top_k_by_parts(self._engine, queries, documents, k, left_out)


@contextmanager
def open_corpus_work(
    address: str | None, base: BaseModelFiles, device: str, trust_remote_code: bool
) -> Iterator[ClusterCorpus | None]:
    """What encodes and ranks the corpus of a run on a cluster; None without an address.

    Raises:
        ClusterError: Ray is not installed, or the cluster cannot be reached or has no room for a worker.
    """
    if address is None:
        yield None
        return
    with open_engine(address, device=device) as engine:
        yield ClusterCorpus(engine, base, trust_remote_code)
