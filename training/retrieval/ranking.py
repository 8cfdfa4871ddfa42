"""The top k documents of every query, by blocked matrix products: memory does not grow with the corpus."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from training.retrieval.vectors import StoredVectors
from training.runs.progress import track

DEPTH = 100
"""Ranks that mining looks at, and that are kept of a ranking."""
QUERY_BLOCK = 512
DOCUMENT_BLOCK = 16_384

Embeddings = NDArray[np.float32] | StoredVectors
"""Unit vectors, in memory or read from their file block by block: ``(n, d)``, float32."""


Span = tuple[slice, slice]
"""Consecutive queries, and the consecutive documents that they are ranked over."""

LeftOut = Sequence[Collection[int]]
"""For each query the positions of documents that are not ranked for it: a query is not compared with itself."""

NOTHING = -1
"""In place of a document's position, if a query has no more documents."""


class TopK(Protocol):
    """Ranks documents as :func:`top_k` does."""

    def __call__(
        self, queries: Embeddings, documents: Embeddings, k: int, device: str = "cpu", left_out: LeftOut = ()
    ) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64]]]: ...


class Ranked(NamedTuple):
    """The first documents of queries, best first.

    Attributes:
        positions: of documents, ``(q, k)``.
        scores: of these documents, ``(q, k)``.
        best_relevant: score of each query's best relevant document, whatever its rank, ``(q,)``; minus infinity if none
            is known.
    """

    positions: NDArray[np.int64]
    scores: NDArray[np.float32]
    best_relevant: NDArray[np.float32]


def top_k(
    queries: Embeddings, documents: Embeddings, k: int, device: str = "cpu", left_out: LeftOut = ()
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64]]]:
    """Rank documents by inner product, which is cosine for unit vectors.

    Args:
        queries: ``(q, d)``.
        documents: ``(n, d)``.
        k: documents to keep; fewer if the corpus is smaller.
        device: where the products are computed.
        left_out: for each query the positions of documents that are not ranked; by default all are.

    Yields:
        For each block of queries its scores and document positions, best first: ``(block, min(k, n))`` each. Of equal
        scores the first document comes first, whatever ``k`` and the sizes of blocks. Rows of queries with fewer ranked
        documents end in ``NOTHING`` with the score -inf.
    """
    starts = range(0, len(queries), QUERY_BLOCK)
    for start in track(starts, "ranking documents"):
        rows, columns = _pairs(left_out[start : start + QUERY_BLOCK])
        block = torch.tensor(queries[start : start + QUERY_BLOCK], device=device)
        scores = torch.empty(len(block), 0, device=device)
        positions = torch.empty(len(block), 0, dtype=torch.long, device=device)
        for offset in range(0, len(documents), DOCUMENT_BLOCK):
            part = torch.tensor(documents[offset : offset + DOCUMENT_BLOCK], device=device)
            products = block @ part.T
            here = (columns >= offset) & (columns < offset + len(part))
            products[torch.from_numpy(rows[here]), torch.from_numpy(columns[here] - offset)] = -torch.inf
            best, where = _first(products, k)
            scores, positions = merged(scores, positions, best, where + offset, k)
        positions[torch.isneginf(scores)] = NOTHING
        yield scores.cpu().numpy(), positions.cpu().numpy()


def merged(
    scores: torch.Tensor, positions: torch.Tensor, more_scores: torch.Tensor, more_positions: torch.Tensor, k: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The first k of two rankings of the same queries, over documents and over documents behind those.

    Args:
        scores: ``(q, n)``, best first.
        positions: of the documents, ``(q, n)``.
        more_scores: ``(q, m)``, best first.
        more_positions: ``(q, m)``.
        k: to keep.
    """
    scores, order = torch.cat([scores, more_scores], dim=1).sort(dim=1, descending=True, stable=True)
    positions = torch.cat([positions, more_positions], dim=1).gather(1, order)
    return scores[:, :k], positions[:, :k]


def _first(products: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The highest values of every row and their columns, of equal values the first columns.

    ``topk`` takes any of equal values; rows in which the last one is among several are few, and sorted as a whole.
    """
    values, columns = products.topk(min(k, products.shape[1]), dim=1)
    tied = (products >= values[:, -1:]).sum(dim=1) > values.shape[1]
    if tied.any():
        whole = products[tied].sort(dim=1, descending=True, stable=True)
        values[tied], columns[tied] = whole.values[:, :k], whole.indices[:, :k]
    columns, order = columns.sort(dim=1)
    values, order = values.gather(1, order).sort(dim=1, descending=True, stable=True)
    return values, columns.gather(1, order)


def ranking(
    queries: Embeddings, documents: Embeddings, k: int, device: str = "cpu", left_out: LeftOut = ()
) -> NDArray[np.int64]:
    """Document positions of all queries, best first: ``(q, min(k, n))``; see :func:`top_k`."""
    blocks = [positions for _, positions in top_k(queries, documents, k, device, left_out)]
    return np.concatenate(blocks) if blocks else np.empty((0, min(k, len(documents))), dtype=np.int64)


def ranked(
    queries: Embeddings,
    documents: Embeddings,
    k: int,
    spans: Sequence[Span],
    device: str = "cpu",
    left_out: LeftOut = (),
    rank: TopK = top_k,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Scores and document positions of all queries, best first, each span of queries over its own documents.

    Args:
        queries: ``(q, d)``.
        documents: ``(n, d)``.
        k: documents to keep.
        spans: of queries and documents.
        device: where the products are computed.
        left_out: for each query the positions of documents of its span that are not ranked; by default all are.
        rank: ranks the queries of a span.

    Returns:
        ``(q, w)`` each, where w is k or the largest number of documents if that is smaller. Rows of queries with
        fewer documents end in ``NOTHING`` with the score -inf.
    """
    width = min(k, max(_length(of) for _, of in spans))
    scores = np.full((len(queries), width), -np.inf, dtype=np.float32)
    positions = np.full((len(queries), width), NOTHING, dtype=np.int64)
    for rows, of in spans:
        row = rows.start
        apart = [{position - of.start for position in each} for each in left_out[rows]]
        for found, where in rank(_rows(queries, rows), _rows(documents, of), k, device, apart):
            block = np.s_[row : row + len(found), : found.shape[1]]
            scores[block], positions[block] = found, np.where(where == NOTHING, NOTHING, where + of.start)
            row += len(found)
    return scores, positions


def _pairs(left_out: LeftOut) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of what is left out."""
    pairs = [(row, column) for row, columns in enumerate(left_out) for column in columns]
    rows, columns = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return rows, columns


def _length(rows: slice) -> int:
    return int(rows.stop - rows.start)


def _rows(vectors: Embeddings, rows: slice) -> Embeddings:
    return vectors.span(rows) if isinstance(vectors, StoredVectors) else vectors[rows]
