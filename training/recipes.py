"""The two recipes and their numbers."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar

from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.losses import (
    CachedMultipleNegativesRankingLoss,
    MultipleNegativesRankingLoss,
    TripletDistanceMetric,
    TripletLoss,
)
from torch import nn

from training.errors import TrainingError
from training.miners import Miner, NegativeMiner, TripletMiner
from training.states import Texts


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Numbers that every recipe has.

    Attributes:
        iterations: rounds of mine, fine-tune, evaluate.
        epochs: passes over the examples in an iteration.
        batch_size: examples a step.
        learning_rate: at the end of the warm-up, from where it falls linearly to 0.
        warmup_steps: steps of rising learning rate; below 1 a share of the iteration's steps.
        weight_decay: of AdamW.
        max_length: tokens a text is cut at while training; None for the model's own limit.
        interpolation: share of the trained weights in the result, the rest being the base model's (Wortsman et al.,
            2022, "Robust fine-tuning of zero-shot models").
    """

    name: ClassVar[str]
    distinct_batches: ClassVar[bool]
    """Whether no text may stand twice in a batch, because each counts as a negative of the others."""

    iterations: int = 2
    epochs: int = 2
    batch_size: int = 8
    learning_rate: float = 5e-5
    warmup_steps: float = 100
    weight_decay: float = 0.01
    max_length: int | None = None
    interpolation: float = 1.0

    def __post_init__(self) -> None:
        for number in fields(self):
            value = getattr(self, number.name)
            if value is None:
                continue
            least = 0 if number.name in _MAY_BE_ZERO else 1 if isinstance(value, int) else 1e-12
            most = 1 if number.name == "interpolation" else float("inf")
            if not least <= value <= most or value == float("inf"):
                limits = f"from {least:g}" + (f" to {most:g}" if most < float("inf") else "")
                raise TrainingError(f"--{number.name.replace('_', '-')} {value} is out of range: expected {limits}")

    def miner(self, texts: Texts) -> Miner:
        """A miner that knows nothing yet."""
        raise NotImplementedError

    def loss(self, model: SentenceTransformer) -> nn.Module:
        """What fine-tuning minimises."""
        raise NotImplementedError

    @property
    def trainer_epochs(self) -> int:
        """How often the trainer goes over the miner's examples."""
        return self.epochs


@dataclass(frozen=True, kw_only=True)
class Contrastive(Recipe):
    """InfoNCE over in-batch negatives and mined hard negatives (van den Oord et al., 2018; Karpukhin et al., 2020).

    Attributes:
        least_steps: passes are added until an iteration has at least so many steps, ``most_epochs`` at most.
        most_epochs: see ``least_steps``.
        negatives: mined hard negatives of each query in a step.
        scale: factor on the cosine, the inverse of the temperature.
        mini_batch: texts that are in memory at a time, by gradient caching (Gao et al., 2021, "Scaling Deep Contrastive
            Learning Batch Size under Memory Limited Setup"); None for the whole batch at once, which is faster.
    """

    name: ClassVar[str] = "contrastive"
    distinct_batches: ClassVar[bool] = True

    epochs: int = 1
    batch_size: int = 32
    warmup_steps: float = 0.1
    interpolation: float = 0.5
    least_steps: int = 20
    most_epochs: int = 8
    negatives: int = 1
    scale: float = 20.0
    mini_batch: int | None = None

    def miner(self, texts: Texts) -> Miner:
        """Remembers hard negatives; draws every pass anew."""
        queries = len(texts.queries["train"])
        passes = -(-self.least_steps * self.batch_size // queries)
        return NegativeMiner(texts, max(self.epochs, min(passes, self.most_epochs)), self.negatives)

    def loss(self, model: SentenceTransformer) -> nn.Module:
        """InfoNCE."""
        if self.mini_batch is None:
            return MultipleNegativesRankingLoss(model, scale=self.scale)
        return CachedMultipleNegativesRankingLoss(model, scale=self.scale, mini_batch_size=self.mini_batch)

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
    distinct_batches: ClassVar[bool] = False

    margin: float = 0.1
    easy_per_hard: int = 2

    def miner(self, texts: Texts) -> Miner:
        """Remembers triplets."""
        return TripletMiner(texts, self.easy_per_hard)

    def loss(self, model: SentenceTransformer) -> nn.Module:
        """Triplet loss on cosine distance."""
        return TripletLoss(model, distance_metric=TripletDistanceMetric.COSINE, triplet_margin=self.margin)


RECIPES: dict[str, type[Recipe]] = {recipe.name: recipe for recipe in (Contrastive, ReferenceTriplet)}

_MAY_BE_ZERO = {"negatives", "warmup_steps", "weight_decay", "interpolation", "easy_per_hard", "least_steps"}


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
