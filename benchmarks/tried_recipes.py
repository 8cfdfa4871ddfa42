"""Recipes that were tried and not kept. In both_sides.py, `recipe=NAME` in a variant uses one of them."""

from __future__ import annotations

import gzip
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from sentence_transformers import CrossEncoder, SentenceTransformer
from sentence_transformers.sentence_transformer.losses import (
    CachedMultipleNegativesRankingLoss,
    MultipleNegativesRankingLoss,
)
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.optimizer import Optimizer, register_optimizer_step_post_hook

from training.mining.examples import Examples
from training.mining.miners import Miner
from training.recipes.recipes import Contrastive
from training.retrieval.states import State
from training.retrieval.texts import Texts

EXAMPLES = sorted((Path(__file__).parents[1] / "examples" / "data").glob("*.jsonl"))
COLUMNS = ("text", "question", "answer")
WRAPPERS = ("Hi, I would like to know: {} Thanks", "My mother asked me this. {}", "{} Please help, I am worried")


class Dropout(Contrastive):
    """Contrastive training with the model's dropout on."""

    name: ClassVar[str] = "dropout"
    dropout: ClassVar[bool] = True


class UpperLayers(Contrastive):
    """The token embeddings and the lower half of the layers are frozen."""

    name: ClassVar[str] = "upper-layers"

    def full_loss(self, model: SentenceTransformer, base: State | None = None) -> nn.Module:
        """InfoNCE, with the lower part frozen."""
        transformer = model.transformers_model
        layers = transformer.encoder.layer
        for part in (transformer.embeddings, *layers[: len(layers) // 2]):
            part.requires_grad_(False)
        return super().full_loss(model, base)


class Pull(Contrastive):
    """Pulls the similarities in a batch towards those of the base model."""

    name: ClassVar[str] = "pull"
    pull: float = 20.0

    def full_loss(self, model: SentenceTransformer, base: State | None = None) -> nn.Module:
        """InfoNCE and the pull."""
        assert base is not None
        if self.mini_batch:
            return _CachedPulledLoss(model, base.model, self.scale, self.pull, self.mini_batch)
        return _PulledLoss(model, base.model, self.scale, self.pull)


class Distil(Contrastive):
    """Also learns the base model's similarities between unlabelled texts of many fields."""

    name: ClassVar[str] = "distil"
    distil: float = 20.0
    unlabelled: int = 64
    """Texts per step."""
    texts: str = ",".join(map(str, EXAMPLES))
    """Their files, joined by commas, of JSON lines; by default the examples."""

    def full_loss(self, model: SentenceTransformer, base: State | None = None) -> nn.Module:
        """InfoNCE and the mean squared difference of the similarities."""
        assert base is not None
        loss, texts = super().full_loss(model, base), _unlabelled(self.texts.split(","))
        return _DistilledLoss(loss, model, base.model, texts, self.distil, self.unlabelled)


def _unlabelled(files: Sequence[str]) -> list[str]:
    """The distinct texts, questions and answers of files."""
    found: dict[str, None] = {}
    for file in files:
        with (gzip.open if file.endswith(".gz") else open)(file, "rt", encoding="utf-8") as lines:
            rows = map(json.loads, lines)
            found |= dict.fromkeys(row[column] for row in rows for column in COLUMNS if column in row)
    return list(found)


class _DistilledLoss(nn.Module):
    """A loss plus the distance of cosines between unlabelled texts from the base model's."""

    def __init__(
        self,
        loss: nn.Module,
        model: SentenceTransformer,
        base: SentenceTransformer,
        texts: Sequence[str],
        weight: float,
        count: int,
    ) -> None:
        super().__init__()
        self._loss, self.model, self._texts, self._weight, self._count = loss, model, texts, weight, count
        self._cosines = _BaseCosines(base)
        self._draw = np.random.default_rng(0)

    def forward(self, sentence_features: Iterable[dict[str, Tensor]], labels: Tensor) -> Tensor:
        loss: Tensor = self._loss(sentence_features, labels)
        drawn = self._draw.choice(len(self._texts), self._count, replace=False)
        features = self.model.preprocess([self._texts[position] for position in drawn])
        features = {name: value.to(self.model.device) for name, value in features.items() if isinstance(value, Tensor)}
        self._cosines.read(features)
        return loss + self._weight * self._cosines.distance(self.model(features)["sentence_embedding"])


class Margin(Contrastive):
    """Also learns by how much a cross-encoder prefers the positive to the mined negative.

    Source: Wang et al., 2022, "GPL: Generative Pseudo Labeling" (MarginMSE).
    """

    name: ClassVar[str] = "margin"
    teacher: str = ""
    """Folder of the cross-encoder, see reranker.py."""
    margin: float = 0.1
    """Weight of the squared difference from the teacher's margin, in logits; the model's own is of scaled cosines."""

    def full_loss(self, model: SentenceTransformer, base: State | None = None) -> nn.Module:
        """InfoNCE and MarginMSE."""
        return _MarginLoss(model, CrossEncoder(self.teacher), self.scale, self.margin)


class _MarginLoss(MultipleNegativesRankingLoss):
    """InfoNCE plus MarginMSE of the first negative."""

    def __init__(self, model: SentenceTransformer, teacher: CrossEncoder, scale: float, margin: float) -> None:
        super().__init__(model, scale=scale)
        self._teacher = (teacher,)  # in a tuple, so that its weights do not become parameters of the loss
        self._margin = margin

    def forward(self, sentence_features: Iterable[dict[str, Tensor]], labels: Tensor) -> Tensor:
        features = list(sentence_features)
        query, positive, negative = (self._read(each) for each in features[:3])
        wanted = self._scores(query, positive) - self._scores(query, negative)
        embeddings = [self.model(each)["sentence_embedding"] for each in features]
        loss: Tensor = self.compute_loss_from_embeddings(embeddings, labels)
        asked, good, bad = (functional.normalize(each, dim=-1) for each in embeddings[:3])
        margins = self.scale * (asked * (good - bad)).sum(-1)
        return loss + self._margin * functional.mse_loss(margins, wanted)

    def _read(self, features: dict[str, Tensor]) -> list[str]:
        read: list[str] = self.model.tokenizer.batch_decode(features["input_ids"], skip_special_tokens=True)
        return read

    def _scores(self, queries: list[str], documents: list[str]) -> Tensor:
        pairs = list(zip(queries, documents, strict=True))
        (teacher,) = self._teacher
        scores: Tensor = teacher.predict(
            pairs, activation_fn=nn.Identity(), convert_to_tensor=True, show_progress_bar=False
        )
        return scores.to(self.model.device)


class MovingAverage(Contrastive):
    """The trained model is the exponential moving average of the weights along the training."""

    name: ClassVar[str] = "moving-average"
    decay: float = 0.9
    """Of the average, per step; lower in the first steps, so that it forgets where it began."""

    def full_loss(self, model: SentenceTransformer, base: State | None = None) -> nn.Module:
        """InfoNCE."""
        return _AveragedLoss(super().full_loss(model, base), model, self.decay)


class _AveragedLoss(nn.Module):
    """A loss between whose steps the model holds the average of its weights; the last weights are kept aside."""

    def __init__(self, loss: nn.Module, model: SentenceTransformer, decay: float) -> None:
        super().__init__()
        self._loss, self._decay, self._steps = loss, decay, 0
        self._weights = [weight for weight in model.parameters() if weight.requires_grad]
        self._last = [weight.detach().clone() for weight in self._weights]
        self._average = [weight.clone() for weight in self._last]
        self._hook = register_optimizer_step_post_hook(self._stepped)

    def forward(self, sentence_features: Iterable[dict[str, Tensor]], labels: Tensor) -> Tensor:
        self._hold(self._last)
        loss: Tensor = self._loss(sentence_features, labels)
        return loss

    def _stepped(self, optimizer: Optimizer, *_: Any) -> None:
        if not any(weight is self._weights[0] for group in optimizer.param_groups for weight in group["params"]):
            return
        self._steps += 1
        decay = min(self._decay, self._steps / (self._steps + 10))
        for weight, last, average in zip(self._weights, self._last, self._average, strict=True):
            last.copy_(weight.detach())
            average.lerp_(last, 1 - decay)
        self._hold(self._average)

    @torch.no_grad()
    def _hold(self, weights: list[Tensor]) -> None:
        for weight, value in zip(self._weights, weights, strict=True):
            weight.copy_(value)


class _BaseCosines:
    """How far the cosines between all texts of a batch are from the base model's: the mean squared difference."""

    def __init__(self, base: SentenceTransformer) -> None:
        self._base = base  # held by a plain object, so that its weights do not become parameters of a loss
        self._wanted = torch.empty(0)

    def read(self, texts: dict[str, Any]) -> None:
        """Encode a batch of tokenized texts with the base model."""
        kept = {name: value.clone() for name, value in texts.items() if isinstance(value, Tensor)}
        with torch.no_grad():
            self._wanted = self._cosines(self._base(kept)["sentence_embedding"])

    def distance(self, vectors: Tensor) -> Tensor:
        """Of the same texts' vectors, ``(b, d)``."""
        return functional.mse_loss(self._cosines(vectors), self._wanted)

    @staticmethod
    def _cosines(vectors: Tensor) -> Tensor:
        with torch.autocast(vectors.device.type, enabled=False):
            unit = functional.normalize(vectors.float(), dim=-1)
            return unit @ unit.T


class _PulledLoss(MultipleNegativesRankingLoss):
    """InfoNCE plus the pull."""

    def __init__(self, model: SentenceTransformer, base: SentenceTransformer, scale: float, pull: float) -> None:
        super().__init__(model, scale=scale)
        self._cosines = _BaseCosines(base)
        self._pull = pull

    def forward(self, sentence_features: Iterable[dict[str, Tensor]], labels: Tensor) -> Tensor:
        features = list(sentence_features)
        self._cosines.read(features[0])
        embeddings = [self.model(each)["sentence_embedding"] for each in features]
        loss: Tensor = self.compute_loss_from_embeddings(embeddings, labels)
        return loss + self._pull * self._cosines.distance(embeddings[0])


class _CachedPulledLoss(CachedMultipleNegativesRankingLoss):
    """The same by gradient caching."""

    def __init__(
        self, model: SentenceTransformer, base: SentenceTransformer, scale: float, pull: float, mini_batch: int
    ) -> None:
        super().__init__(model, scale=scale, mini_batch_size=mini_batch)
        self._cosines = _BaseCosines(base)
        self._pull = pull

    def forward(self, sentence_features: Iterable[dict[str, Tensor]], labels: Tensor) -> Tensor:
        features = list(sentence_features)
        self._cosines.read(features[0])
        loss: Tensor = super().forward(features, labels)
        return loss

    def calculate_loss(
        self, reps: list[list[Tensor]], labels: Tensor | None = None, *, with_backward: bool = False
    ) -> Tensor:
        """The loss of a whole batch, from the vectors of its parts."""
        pulled = self._pull * self._cosines.distance(torch.cat(reps[0]))
        if with_backward:
            pulled.backward()
        loss: Tensor = super().calculate_loss(reps, labels, with_backward=with_backward)
        return loss + pulled.detach() if with_backward else loss + pulled


@dataclass
class _Rearranged:
    """A miner whose examples are changed before training."""

    miner: Miner
    change: Callable[[Examples, np.random.Generator], Examples]

    def mine(self, ranked: Any, seed: int) -> int:
        return self.miner.mine(ranked, seed)

    def examples(self, seed: int) -> Examples:
        return self.change(self.miner.examples(seed), np.random.default_rng(seed))


class OneTemplate(Contrastive):
    """All questions of a batch begin with the same three words, so that only names distinguish their answers."""

    name: ClassVar[str] = "one-template"

    def miner(self, texts: Texts) -> Miner:
        """The miner of contrastive training, with its examples changed."""
        return _Rearranged(super().miner(texts), self._by_template)

    def _by_template(self, examples: Examples, draw: np.random.Generator) -> Examples:
        by_template: dict[str, list[int]] = defaultdict(list)
        for row, question in enumerate(examples.columns["anchor"]):
            by_template[" ".join(question.lower().split()[:3])].append(row)
        cuts = range(0, len(examples), self.batch_size)
        rows = [row for template in by_template.values() for row in template]
        batches = [rows[start : start + self.batch_size] for start in cuts]
        laid = [batches[number] for number in draw.permutation(len(batches))]
        order = [row for batch in laid for row in batch]
        columns = {name: [column[row] for row in order] for name, column in examples.columns.items()}
        return Examples(columns, [len(batch) for batch in laid])


class Styles(Contrastive):
    """Half of the questions in another style: keywords, conversational, misspelt, or a sentence of the answer."""

    name: ClassVar[str] = "styles"

    def miner(self, texts: Texts) -> Miner:
        """The miner of contrastive training, with its examples changed."""
        return _Rearranged(super().miner(texts), _in_styles)


def _in_styles(examples: Examples, draw: np.random.Generator) -> Examples:
    anchors = [
        _restyled(question, passage, draw) if draw.random() < 0.5 else question
        for question, passage in zip(examples.columns["anchor"], examples.columns["positive"], strict=True)
    ]
    return replace(examples, columns={**examples.columns, "anchor": anchors})


def _restyled(question: str, passage: str, draw: np.random.Generator) -> str:
    style = draw.integers(4)
    if style == 0:
        words = re.findall(r"[\w-]+", question.lower())
        return " ".join(word for word in words if word not in ENGLISH_STOP_WORDS) or question
    if style == 1:
        return WRAPPERS[draw.integers(len(WRAPPERS))].format(question)
    if style == 2:
        at = int(draw.integers(max(1, len(question) - 1)))
        return question[:at] + question[at + 1 : at + 2] + question[at : at + 1] + question[at + 2 :]
    sentences = re.split(r"(?<=[.!?]) ", passage)
    return sentences[draw.integers(len(sentences))]


TRIED = {
    recipe.name: recipe for recipe in (Dropout, UpperLayers, Pull, Distil, Margin, MovingAverage, OneTemplate, Styles)
}
