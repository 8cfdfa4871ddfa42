"""Retrieval metrics over binary relevance (Manning et al., 2008, ch. 8; Jarvelin and Kekalainen, 2002)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

CUTOFFS = (1, 5, 10)
HEADLINE = ("mrr@5", "recall@5", "ndcg@10")
"""The metrics that cards and tables show first; `max_loss` limits the loss of the first one."""
DECIDING = "ndcg@10"
"""The metric that chooses the best model on dev: with few queries, it has the finest resolution."""


def retrieval_metrics(
    ranked: NDArray[np.int64], relevant: Sequence[set[int]], cutoffs: Sequence[int] = CUTOFFS
) -> dict[str, float]:
    """Means over queries of :func:`query_metrics`, under the same names."""
    return mean_metrics(query_metrics(ranked, relevant, cutoffs), [slice(None)])


def mean_metrics(metrics: Mapping[str, NDArray[np.float64]], sets: Sequence[slice]) -> dict[str, float]:
    """The mean of every metric over sets, where a set counts as the mean over its queries, whatever its size."""
    return {name: float(np.mean([np.mean(values[rows]) for rows in sets])) for name, values in metrics.items()}


def query_metrics(
    ranked: NDArray[np.int64], relevant: Sequence[set[int]], cutoffs: Sequence[int] = CUTOFFS
) -> dict[str, NDArray[np.float64]]:
    """MRR, Recall, NDCG and DCG at each cutoff of every query.

    Recall@k is the fraction of a query's relevant documents among its first k. DCG@k sums 1 / log2(rank + 1) over
    relevant ranks, and NDCG@k divides it by its maximum for the query.

    Args:
        ranked: document positions, best first: ``(q, n)`` with n at least the largest cutoff, or the whole corpus.
        relevant: the relevant positions of each query, at least one.

    Returns:
        Metric name like ``mrr@5`` to a value for each query, ``(q,)``.
    """
    hits = np.array([[document in wanted for document in row] for row, wanted in zip(ranked, relevant, strict=True)])
    counts = np.array([len(wanted) for wanted in relevant])
    discounts = 1 / np.log2(np.arange(2, max(cutoffs) + 2))
    metrics = {}
    for k in cutoffs:
        top = hits[:, :k]
        first = np.where(top.any(axis=1), top.argmax(axis=1) + 1, np.inf)
        dcg = top @ discounts[: top.shape[1]]
        ideal = np.cumsum(discounts)[np.minimum(counts, k) - 1]
        metrics[f"mrr@{k}"] = 1 / first
        metrics[f"recall@{k}"] = top.sum(axis=1) / counts
        metrics[f"ndcg@{k}"] = dcg / ideal
        metrics[f"dcg@{k}"] = dcg
    return metrics
