"""Weights between the base model's and the trained ones, and how far from the base model the result shall be."""

from __future__ import annotations

from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer

from registry.model_folders.adapters import has_adapter
from training.retrieval.metrics import DECIDING, mean_metrics, query_metrics
from training.retrieval.ranking import NOTHING, ranked
from training.retrieval.states import Indices, Sample, State

SHARES = tuple(number / 10 for number in range(1, 11))
QUERIES = 256
CANDIDATES = 10
"""Documents of each query in the sample that are not right: what the base model ranks first."""


def move_towards(model: SentenceTransformer, base: SentenceTransformer, share: float) -> None:
    """Move the model's weights towards the base model's: ``share`` of its own, the rest of the base's.

    With an adapter the weights of a layer are W + s B A, of which W is the base's, so that scaling B is the same.
    """
    with torch.no_grad():
        if has_adapter(model):
            for name, weight in model.named_parameters():
                if ".lora_B." in name:
                    weight.mul_(share)
            return
        weights, others = (chain(one.parameters(), one.buffers()) for one in (model, base))
        for own, other in zip(weights, others, strict=True):
            if own.is_floating_point():
                own.lerp_(other.to(own), 1 - share)


class DevSample:
    """So many dev queries and the documents that make them hard: enough to choose by, and soon encoded."""

    def __init__(self, base: State) -> None:
        relevant = base.texts.relevant["dev"]
        sets = [asking for asking, _ in base.texts.spans("dev")]
        of_each = max(QUERIES // len(sets), 1)
        chosen = [np.linspace(asking.start, asking.stop - 1, of_each).astype(np.int64) for asking in sets]
        self._queries: Indices = np.unique(np.concatenate(chosen))
        hard = base.ranked("dev")[self._queries, :CANDIDATES]
        wanted = set(hard.ravel().tolist()).union(*(relevant[query] for query in self._queries))
        self._documents: Indices = np.array(sorted(wanted - {NOTHING}))

    def of(self, state: State) -> Sample:
        """How a state embeds it."""
        return state.sample("dev", self._queries, self._documents)


def choose_share(base: Sample, trained: Sample, min_gain_kept: float) -> float:
    """The smallest share of the trained weights that keeps so much of the gain on dev.

    What is gained at home comes with the first steps away from the base model, what is lost elsewhere with the last
    ones. To try a share costs no encoding: the vectors of interpolated weights are taken to be the interpolated
    vectors, for near the base model a network is nearly linear in its weights (Wortsman et al., 2022, "Robust
    fine-tuning of zero-shot models").

    Args:
        base: dev queries and documents as the base model encodes them.
        trained: the same ones as the trained model does.
        min_gain_kept: share of the best gain over the base model that is to be kept; 1 for the best share itself.
    """
    scores = np.array([_score(base, trained, share) for share in (0.0, *SHARES)])
    gains = scores[1:] - scores[0]
    return SHARES[int(np.argmax(gains >= min_gain_kept * gains.max()))]


def _score(base: Sample, trained: Sample, share: float) -> float:
    queries = _between(base.queries, trained.queries, share)
    documents = _between(base.documents, trained.documents, share)
    metrics = query_metrics(ranked(queries, documents, 10, base.spans)[1], base.relevant)
    return mean_metrics(metrics, [asking for asking, _ in base.spans])[DECIDING]


def _between(base: NDArray[np.float32], trained: NDArray[np.float32], share: float) -> NDArray[np.float32]:
    vectors = (1 - share) * base + share * trained
    unit: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(min=1e-12)
    return unit
