"""The two recipes and their numbers."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar

from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.losses import (
    CachedMultipleNegativesRankingLoss,
    MatryoshkaLoss,
    MultipleNegativesRankingLoss,
    TripletDistanceMetric,
    TripletLoss,
)
from torch import nn

from training.errors import TrainingError
from training.mining.miners import Miner, NegativeMiner, TripletMiner, WholeCorpus
from training.recipes.frozen_documents import FrozenDocuments
from training.retrieval.states import State, Texts
from training.runs import processes


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Numbers that every recipe has.

    Attributes:
        iterations: rounds of mine, fine-tune, evaluate.
        epochs: passes over the examples in an iteration.
        batch_size: examples a step.
        learning_rate: at the end of the warm-up, from where it falls linearly to 0; by default 5e-5, and 5e-4 for an
            adapter (Schulman et al., 2025, "LoRA Without Regret": ten times that of full fine-tuning).
        warmup_steps: steps of rising learning rate; below 1 a share of the iteration's steps.
        weight_decay: of AdamW.
        max_length: tokens a text is cut at while training; None for the model's own limit.
        interpolation: share of the trained weights in the result, the rest being the base model's (Wortsman et al.,
            2022, "Robust fine-tuning of zero-shot models"); None for the share that ``min_gain_kept`` asks for.
        min_gain_kept: fraction of the best gain on dev to keep: the smallest weight that keeps it is chosen; 1 for the
            best on dev.
        lora: rank of the adapter that is trained instead of the weights (Hu et al., 2022, "LoRA: Low-Rank Adaptation of
            Large Language Models"); None for the weights themselves.
        dims: numbers of leading dimensions that shall serve alone as well (Kusupati et al., 2022, "Matryoshka
            Representation Learning"); None for the full vector only.
    """

    name: ClassVar[str]
    dropout: ClassVar[bool] = True
    """Whether the model's dropout is on while it is trained. A CPU has no fused attention with it."""
    iterations: int = 2
    epochs: int = 2
    batch_size: int = 8
    learning_rate: float = None  # type: ignore[assignment]  # never after __post_init__
    warmup_steps: float = 100
    weight_decay: float = 0.01
    max_length: int | None = None
    interpolation: float | None = 1.0
    min_gain_kept: float = 1.0
    lora: int | None = None
    dims: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.learning_rate is None:
            object.__setattr__(self, "learning_rate", 5e-4 if self.lora else 5e-5)
        if self.dims is not None and (not self.dims or min(self.dims) < 1 or len(set(self.dims)) < len(self.dims)):
            raise TrainingError(f"--dims {self.dims}: expected different numbers of dimensions from 1")
        for number in fields(self):
            value = getattr(self, number.name)
            if value is None or number.name == "dims":
                continue
            least = 0 if number.name in _MAY_BE_ZERO else 1 if isinstance(value, int) else 1e-12
            most = _MOST.get(number.name, float("inf"))
            if not least <= value <= most or value == float("inf"):
                limits = f"from {least:g}" + (f" to {most:g}" if most < float("inf") else "")
                raise TrainingError(f"--{number.name.replace('_', '-')} {value} is out of range: expected {limits}")

    def miner(self, texts: Texts) -> Miner:
        """A miner that knows nothing yet."""
        raise NotImplementedError

    def loss(self, model: SentenceTransformer, base: State | None = None) -> nn.Module:
        """What fine-tuning minimises.

        Args:
            model: learns.
            base: the untouched model, for recipes that learn from its embeddings.
        """
        loss = self.full_loss(model, base)
        return MatryoshkaLoss(model, loss, matryoshka_dims=list(self.dims)) if self.dims else loss

    def full_loss(self, model: SentenceTransformer, base: State | None = None) -> nn.Module:
        """The same for the full vector only."""
        raise NotImplementedError

    @property
    def same_documents(self) -> bool:
        """Whether the adapted model encodes documents as the base model does."""
        return False

    @property
    def trainer_epochs(self) -> int:
        """How often the trainer goes over the miner's examples."""
        return self.epochs


@dataclass(frozen=True, kw_only=True)
class Contrastive(Recipe):
    """InfoNCE over in-batch negatives and mined hard negatives (van den Oord et al., 2018; Karpukhin et al., 2020).

    Attributes:
        min_steps: passes are added until an iteration has at least so many steps, ``max_epochs`` at most.
        max_epochs: see ``min_steps``.
        negatives: of each query in a step, beside the texts of the other queries.
        random_negative_ratio: share of them that are drawn from all wrong documents, the rest being mined.
        mix_ratio: share of the batches that are of data mixed in, where there are such.
        max_negative_ratio: a document that scores more than this times the best relevant one is no negative.
        scale: factor on the cosine, the inverse of the temperature.
        freeze_documents: train queries only, against documents as the base model encodes them.
        mini_batch: texts that are in memory at a time, by gradient caching (Gao et al., 2021, "Scaling Deep Contrastive
            Learning Batch Size under Memory Limited Setup"); None for the whole batch at once, which is faster.
    """

    name: ClassVar[str] = "contrastive"
    dropout: ClassVar[bool] = False

    epochs: int = 1
    batch_size: int = 32
    warmup_steps: float = 0.1
    interpolation: float | None = None
    min_gain_kept: float = 0.8
    min_steps: int = 20
    max_epochs: int = 8
    negatives: int = 1
    random_negative_ratio: float = 0.0
    mix_ratio: float = 0.25
    max_negative_ratio: float = 0.95
    scale: float = 20.0
    freeze_documents: bool = False
    mini_batch: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        other = next((name for name in ("lora", "dims", "mini_batch") if getattr(self, name)), None)
        if self.freeze_documents and other:
            raise TrainingError(f"--freeze-documents does not go with --{other.replace('_', '-')}: leave one out")

    def miner(self, texts: Texts) -> Miner:
        """Remembers hard negatives; draws every pass anew."""
        queries = len(texts.queries["train"])
        passes = -(-self.min_steps * self.batch_size // queries)
        passes = max(self.epochs, min(passes, self.max_epochs))
        if self.freeze_documents:
            return WholeCorpus(texts, passes)
        return NegativeMiner(
            texts, passes, self.batch_size, self.negatives, self.random_negative_ratio, self.max_negative_ratio
        )

    def full_loss(self, model: SentenceTransformer, base: State | None = None) -> nn.Module:
        """InfoNCE."""
        if self.freeze_documents:
            assert base is not None
            return FrozenDocuments(model, base, self.scale)
        if self.mini_batch is None:
            return MultipleNegativesRankingLoss(model, scale=self.scale, gather_across_devices=processes.count() > 1)
        return CachedMultipleNegativesRankingLoss(
            model, scale=self.scale, mini_batch_size=self.mini_batch, gather_across_devices=processes.count() > 1
        )

    @property
    def same_documents(self) -> bool:
        """So it is where only queries are trained."""
        return self.freeze_documents

    @property
    def trainer_epochs(self) -> int:
        """One: the miner's examples hold all passes already."""
        return 1


@dataclass(frozen=True, kw_only=True)
class ReferenceTriplet(Recipe):
    """The reference recipe: triplet loss on cosine distance over mined hard and easy triplets.

    Attributes:
        margin: by how much the positive has to be nearer than the negative, in cosine distance.
        easy_per_hard: easy triplets kept for each hard one.
    """

    name: ClassVar[str] = "triplet"

    margin: float = 0.1
    easy_per_hard: int = 2

    def miner(self, texts: Texts) -> Miner:
        """Remembers triplets."""
        return TripletMiner(texts, self.easy_per_hard)

    def full_loss(self, model: SentenceTransformer, base: State | None = None) -> nn.Module:
        """Triplet loss on cosine distance."""
        return TripletLoss(model, distance_metric=TripletDistanceMetric.COSINE, triplet_margin=self.margin)


SPECIALIST: dict[str, Any] = {"min_gain_kept": 1.0}
"""Numbers of ``contrastive`` where nothing but the domain's own questions counts."""

RECIPES: dict[str, type[Recipe]] = {recipe.name: recipe for recipe in (Contrastive, ReferenceTriplet)}

_MOST = {"interpolation": 1, "min_gain_kept": 1, "random_negative_ratio": 1, "max_negative_ratio": 1, "mix_ratio": 0.9}
_MAY_BE_ZERO = {
    "negatives",
    "warmup_steps",
    "weight_decay",
    "easy_per_hard",
    "min_steps",
    "freeze_documents",
    *_MOST,
}


def number_names() -> set[str]:
    """The numbers of all recipes."""
    return {number.name for recipe in RECIPES.values() for number in fields(recipe)}


def make_recipe(name: str, numbers: dict[str, Any]) -> Recipe:
    """A recipe with some of its numbers changed; a number that is None keeps its default.

    Raises:
        TrainingError: no such recipe, or a number that it does not have or that is out of range.
    """
    if name not in RECIPES:
        raise TrainingError(f"no recipe {name!r}: choose {' or '.join(RECIPES)}")
    given = {key: value for key, value in numbers.items() if value is not None}
    known = {number.name for number in fields(RECIPES[name])}
    if foreign := sorted(set(given) - known):
        options = ", ".join(f"--{option.replace('_', '-')}" for option in foreign)
        raise TrainingError(f"recipe {name} does not take {options}")
    return RECIPES[name](**given)
