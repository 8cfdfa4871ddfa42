"""What fine-tuning minimises: losses of sentence-transformers, built from a recipe's numbers."""

from __future__ import annotations

from collections.abc import Sequence

from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.losses import (
    CachedMultipleNegativesRankingLoss,
    MatryoshkaLoss,
    MultipleNegativesRankingLoss,
    TripletDistanceMetric,
    TripletLoss,
)
from torch import nn

from training.runs import processes


def info_nce(model: SentenceTransformer, scale: float, mini_batch: int | None = None) -> nn.Module:
    """InfoNCE over the in-batch and the given negatives, those of other processes included.

    Args:
        model: learns.
        scale: factor on the cosine.
        mini_batch: texts in memory at a time, by gradient caching; None for the whole batch.
    """
    across = processes.count() > 1
    if mini_batch is None:
        return MultipleNegativesRankingLoss(model, scale=scale, gather_across_devices=across)
    return CachedMultipleNegativesRankingLoss(
        model, scale=scale, mini_batch_size=mini_batch, gather_across_devices=across
    )


def cosine_triplet(model: SentenceTransformer, margin: float) -> nn.Module:
    """The triplet loss on cosine distance."""
    return TripletLoss(model, distance_metric=TripletDistanceMetric.COSINE, triplet_margin=margin)


def matryoshka(model: SentenceTransformer, loss: nn.Module, dims: Sequence[int]) -> nn.Module:
    """A loss on the full vector and on its leading dimensions (Kusupati et al., 2022, "Matryoshka Representation
    Learning")."""
    return MatryoshkaLoss(model, loss, matryoshka_dims=list(dims))
