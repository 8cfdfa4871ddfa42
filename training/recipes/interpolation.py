"""Means of weights: of the base model's and the trained ones, by a weight that dev shows (WiSE-FT), and of seeds."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer

from registry.model_folders.adapters import has_adapter
from training.prepared.format import PreparedData
from training.retrieval.metrics import DECIDING, mean_metrics, query_metrics
from training.retrieval.ranking import NOTHING, ranked
from training.retrieval.states import Indices, Sample, State
from training.retrieval.texts import Texts
from training.runs.progress import track

WEIGHTS = tuple(number / 10 for number in range(1, 11))
"""The interpolation weights to choose from."""
QUERIES = 256
"""Dev queries that the weight is chosen on."""
_ROUNDING = 1e-9
CANDIDATES = 10
"""Wrong documents per query of the sample: those that the base model ranks first."""


def interpolate(model: SentenceTransformer, base: SentenceTransformer, weight: float) -> None:
    """Move a model towards the base model, in place: ``weight`` times its own weights, plus the rest of the base's.

    With an adapter, the weights of a layer are W + s B A, where W is the base's, so scaling B does the same.
    """
    with torch.no_grad():
        if has_adapter(model):
            for name, parameter in model.named_parameters():
                if ".lora_B." in name:
                    parameter.mul_(weight)
            return
        trained, start = (chain(one.parameters(), one.buffers()) for one in (model, base))
        for own, other in zip(trained, start, strict=True):
            if own.is_floating_point():
                own.lerp_(other.to(own), 1 - weight)


def average(models: Sequence[SentenceTransformer]) -> SentenceTransformer:
    """The first model, with the mean of all models' weights (Wortsman et al., 2022, "Model soups").

    Args:
        models: the same model, trained differently from the same start; none of them with an adapter.
    """
    weights = [dict(chain(model.named_parameters(), model.named_buffers())) for model in models]
    with torch.no_grad():
        for name, weight in weights[0].items():
            if weight.is_floating_point():
                weight.copy_(torch.stack([each[name] for each in weights]).mean(0))
    return models[0]


class DevSample:
    """Some dev queries and the documents that make them hard: enough to choose by, and quickly encoded."""

    def __init__(self, base: State) -> None:
        """
        Args:
            base: the state of the base model.
        """
        relevant = base.texts.relevant["dev"]
        sets = [queries for queries, _ in base.texts.spans("dev")]
        per_set = max(QUERIES // len(sets), 1)
        chosen = [np.linspace(queries.start, queries.stop - 1, per_set).astype(np.int64) for queries in sets]
        self._queries: Indices = np.unique(np.concatenate(chosen))
        hard = base.ranked("dev")[self._queries, :CANDIDATES]
        wanted = set(hard.ravel().tolist()).union(*(relevant[query] for query in self._queries))
        self._documents: Indices = np.array(sorted(wanted - {NOTHING}))

    def of(self, state: State) -> Sample:
        """The sample's embeddings by a state."""
        return state.sample("dev", self._queries, self._documents)


@dataclass(frozen=True)
class Guard:
    """Dev queries of a set on which little may be lost.

    Attributes:
        base: as the base model encodes them.
        trained: as the trained model does.
        max_loss: of the deciding metric.
    """

    base: Sample
    trained: Sample
    max_loss: float = 0.0

    def change(self, weight: float) -> float:
        """What is gained at an interpolation weight; less than 0 if something is lost."""
        return _score(self.base, self.trained, weight) - _score(self.base, self.trained, 0.0)

    def holds(self, weight: float) -> bool:
        """Whether no more is lost than is allowed."""
        return self.change(weight) >= -self.max_loss - _ROUNDING


def guards_of(
    base: State, trained: State, sets: Mapping[str, PreparedData], max_loss: Mapping[str, float]
) -> dict[str, Guard]:
    """Guards by name.

    Args:
        base: the state of the base model.
        trained: that of the model that may lose something.
        sets: with dev queries, by name.
        max_loss: of the sets that may lose anything.
    """
    guards = {}
    for name, data in sets.items():
        before, after = (state.over(name, Texts(data), data.fingerprint) for state in (base, trained))
        sample = DevSample(before)
        guards[name] = Guard(sample.of(before), sample.of(after), max_loss.get(name, 0.0))
    return guards


def choose_weight(base: Sample, trained: Sample, min_gain_kept: float, guards: Collection[Guard] = ()) -> float:
    """The smallest interpolation weight that keeps a fraction of the best gain on dev, among those that guards allow.

    What is gained on the domain comes with the first steps away from the base model, what is lost elsewhere with the
    last ones. Trying a weight needs no encoding: the vectors of interpolated weights are approximated by interpolated
    vectors, because near the base model a network is nearly linear in its weights (Wortsman et al., 2022, "Robust
    fine-tuning of zero-shot models").

    Args:
        base: dev queries and documents as the base model encodes them.
        trained: the same, as the trained model encodes them.
        min_gain_kept: fraction of the best gain over the base model to keep; 1 for the best weight itself.
        guards: each must hold. Where no weight lets all of them, the smallest weight is taken.
    """
    tried = track(WEIGHTS, "trying interpolation weights on guards")
    allowed = [weight for weight in tried if all(guard.holds(weight) for guard in guards)] or [WEIGHTS[0]]
    scores = np.array(
        [_score(base, trained, weight) for weight in track((0.0, *allowed), "choosing the interpolation weight")]
    )
    gains = scores[1:] - scores[0]
    return allowed[int(np.argmax(gains >= min_gain_kept * gains.max()))]


def _score(base: Sample, trained: Sample, weight: float) -> float:
    queries = _between(base.queries, trained.queries, weight)
    documents = _between(base.documents, trained.documents, weight)
    metrics = query_metrics(ranked(queries, documents, 10, base.spans, left_out=base.own)[1], base.relevant)
    return mean_metrics(metrics, [queries for queries, _ in base.spans])[DECIDING]


def _between(base: NDArray[np.float32], trained: NDArray[np.float32], weight: float) -> NDArray[np.float32]:
    vectors = (1 - weight) * base + weight * trained
    unit: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(min=1e-12)
    return unit
