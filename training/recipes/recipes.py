"""The two recipes and their options. Importing it does not import torch: losses and miners are imported when used."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from registry.shared.options import Options, Shown, any_of
from training.errors import TrainingError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from torch import nn
    from typing_extensions import Self

    from training.mining.miners import Miner
    from training.retrieval.states import State
    from training.retrieval.texts import Texts


def _from_text(value: Any) -> Any:
    given = value.split(",") if isinstance(value, str) else value
    return tuple(given) if isinstance(given, list) else given


def _distinct(dims: tuple[int, ...] | None) -> tuple[int, ...] | None:
    if dims is not None and (not dims or len(set(dims)) < len(dims)):
        raise ValueError("expected at least one number, and no duplicates")
    return dims


MANY = 5000
"""Training queries that are many; see :data:`LARGE`."""
SMALL: dict[str, Any] = {"batch_size": 32, "negatives": 1}
"""Defaults of ``contrastive``, chosen on 1,600 training queries."""
LARGE: dict[str, Any] = {"batch_size": 128, "negatives": 4}
"""The same for many queries, which give enough steps in large batches; chosen on 12,000."""
MINI_BATCH = 64
"""Texts in memory at a time where batches are larger and nothing else was set."""

Epochs = Annotated[int, Field(ge=1, description="Passes over the examples in each iteration.")]
BatchSize = Annotated[
    int | None,
    Field(ge=1, description="Examples per step."),
    Shown(default=f"{SMALL['batch_size']}, from {MANY} training queries on {LARGE['batch_size']}"),
]
WarmupSteps = Annotated[
    float, Field(ge=0, description="Warm-up steps; a value below 1 is a fraction of the iteration's steps.")
]
InterpolationWeight = Annotated[
    float | None,
    Field(
        ge=0,
        le=1,
        description="Weight of the trained model, interpolated with the base model's weights (alpha of WiSE-FT).",
    ),
    Shown(default="chosen on dev"),
]
MinGainKept = Annotated[
    float,
    Field(
        ge=0,
        le=1,
        description="Choose the smallest interpolation weight that keeps at least this fraction of the dev gain.",
    ),
]


class Recipe(Options):
    """The options that every recipe has.

    Sources: Schulman et al., 2025, "LoRA Without Regret" (an adapter's learning rate is ten times that of full
    fine-tuning); Wortsman et al., 2022, "Robust fine-tuning of zero-shot models" (``interpolation_weight``); Hu et al.,
    2022, "LoRA: Low-Rank Adaptation of Large Language Models" (``lora``); Kusupati et al., 2022, "Matryoshka
    Representation Learning" (``dims``).
    """

    error = TrainingError
    name: ClassVar[str]
    dropout: ClassVar[bool] = True
    """Whether the model's dropout is active in training."""

    iterations: Annotated[int, Field(ge=1, description="Rounds of mining, fine-tuning and evaluation.")] = 2
    epochs: Epochs = 2
    batch_size: BatchSize = 8
    lora: Annotated[
        int | None,
        Field(ge=1, description="Train a LoRA adapter of this rank instead of all weights."),
        Shown(default="all weights"),
    ] = None
    learning_rate: Annotated[
        float,
        Field(
            gt=0,
            description="Learning rate after the warm-up, from where it falls linearly to 0; with `lora`, the default "
            "is 5e-04.",
        ),
    ] = Field(default_factory=lambda values: 5e-4 if values.get("lora") else 5e-5)
    warmup_steps: WarmupSteps = 100
    weight_decay: Annotated[float, Field(ge=0, description="Weight decay of AdamW.")] = 0.01
    max_length: Annotated[
        int | None,
        Field(ge=1, description="Tokens at which texts are truncated in training."),
        Shown(default="the model's limit"),
    ] = None
    interpolation_weight: InterpolationWeight = 1.0
    min_gain_kept: MinGainKept = 1.0
    dims: Annotated[
        tuple[Annotated[int, Field(ge=1)], ...] | None,
        Field(description="Leading dimensions that are trained to work on their own as well, like 256,128."),
        BeforeValidator(_from_text),
        AfterValidator(_distinct),
        Shown(default="the full vector only", metavar="N,N", joined=True),
    ] = None

    def miner(self, texts: Texts) -> Miner:
        """A new miner for these texts."""
        raise NotImplementedError

    def loss(self, model: SentenceTransformer, base: State | None = None) -> nn.Module:
        """What fine-tuning minimises.

        Args:
            model: the model to train.
            base: the unadapted model, for recipes that learn from its embeddings.
        """
        from training.recipes.losses import matryoshka

        loss = self.full_loss(model, base)
        return matryoshka(model, loss, self.dims) if self.dims else loss

    def full_loss(self, model: SentenceTransformer, base: State | None = None) -> nn.Module:
        """The same for the full vector only."""
        raise NotImplementedError

    @property
    def same_documents(self) -> bool:
        """Whether the adapted model encodes documents as the base model does."""
        return False

    @property
    def lays_out_batches(self) -> bool:
        """Whether the miner fills the batches, so that each can hold the texts of a single set."""
        return False

    @property
    def mixed_fraction(self) -> float:
        """The fraction of the batches taken from other data; of use only to a recipe that lays out batches."""
        return 0.0

    def fitted(self, queries: int) -> Self:
        """The recipe as it trains on that many queries: some defaults may depend on their number."""
        return self

    def passes(self, queries: int) -> int:
        """How often an iteration goes over that many training queries."""
        return self.epochs

    def mixed_examples(self, queries: int) -> int:
        """How many examples of other data an iteration uses beside that many training queries."""
        fraction = self.mixed_fraction if self.lays_out_batches else 0.0
        return math.ceil(self.passes(queries) * queries * fraction / (1 - fraction))

    @property
    def trainer_epochs(self) -> int:
        """How often the trainer goes over the miner's examples."""
        return self.epochs


class Contrastive(Recipe):
    """InfoNCE over in-batch negatives and mined hard negatives (van den Oord et al., 2018; Karpukhin et al., 2020).

    Dropout is off: a CPU has no fused attention with it, and a pass takes much longer. Sources: Moreira et al., 2024,
    "NV-Retriever" (``max_negative_ratio``); Gao et al., 2021, "Scaling Deep Contrastive Learning Batch Size under
    Memory Limited Setup" (``mini_batch``).
    """

    name: ClassVar[str] = "contrastive"
    dropout: ClassVar[bool] = False

    epochs: Epochs = 1
    batch_size: BatchSize = None
    warmup_steps: WarmupSteps = 0.1
    interpolation_weight: InterpolationWeight = None
    min_gain_kept: MinGainKept = 0.8
    min_steps: Annotated[
        int, Field(ge=0, description="Minimum steps per iteration: epochs are added to reach it, up to `max_epochs`.")
    ] = 20
    max_epochs: Annotated[int, Field(ge=1, description="Limit of the epochs added to reach `min_steps`.")] = 8
    negatives: Annotated[
        int | None,
        Field(ge=0, description="Negatives per query and step, in addition to the in-batch negatives."),
        Shown(default=f"{SMALL['negatives']}, from {MANY} training queries on {LARGE['negatives']}"),
    ] = None
    random_negative_ratio: Annotated[
        float,
        Field(ge=0, le=1, description="Fraction of the negatives drawn from all wrong documents instead of mined."),
    ] = 0.0
    mix_ratio: Annotated[float, Field(ge=0, le=0.9, description="Fraction of the batches taken from `mixed` data.")] = (
        0.25
    )
    max_negative_ratio: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="Discard a mined negative that scores above this fraction of the best positive "
            "(positive-aware filtering, NV-Retriever).",
        ),
    ] = 0.95
    scale: Annotated[float, Field(gt=0, description="Factor on the cosine, the inverse of the temperature.")] = 20.0
    freeze_documents: Annotated[
        bool, Field(description="Train the query side only: document vectors, and an existing index, stay valid.")
    ] = False
    mini_batch: Annotated[
        int | None,
        Field(ge=1, description="Texts in memory at a time, by gradient caching: large batches in little memory."),
        Shown(default=f"the whole batch, at most {MINI_BATCH}"),
    ] = None

    @model_validator(mode="after")
    def _check_freeze_documents(self) -> Self:
        other = next((name for name in ("lora", "dims", "mini_batch") if getattr(self, name)), None)
        if self.freeze_documents and other:
            raise TrainingError(f"`freeze_documents` cannot be combined with `{other}`: leave one out")
        return self

    def fitted(self, queries: int) -> Self:
        """With the defaults for that many queries, where nothing was set."""
        defaults = LARGE if queries >= MANY and not self.freeze_documents else SMALL
        return self.replace(**{name: value for name, value in defaults.items() if getattr(self, name) is None})

    def miner(self, texts: Texts) -> Miner:
        """Remembers hard negatives, and draws every pass anew."""
        from training.mining.miners import NegativeMiner, WholeCorpus

        queries = len(texts.queries["train"])
        passes, fitted = self.passes(queries), self.fitted(queries)
        if self.freeze_documents:
            return WholeCorpus(texts, passes)
        assert fitted.batch_size is not None and fitted.negatives is not None
        return NegativeMiner(
            texts, passes, fitted.batch_size, fitted.negatives, self.random_negative_ratio, self.max_negative_ratio
        )

    def passes(self, queries: int) -> int:
        """As many as `min_steps` needs, within `max_epochs`."""
        batch_size = self.fitted(queries).batch_size
        assert batch_size is not None
        needed = -(-self.min_steps * batch_size // queries)
        return max(self.epochs, min(needed, self.max_epochs))

    def full_loss(self, model: SentenceTransformer, base: State | None = None) -> nn.Module:
        """InfoNCE; against the whole corpus where documents are frozen."""
        from training.recipes.frozen_documents import FrozenDocuments
        from training.recipes.losses import info_nce
        from training.recipes.model_modules import has_static_embeddings

        if self.freeze_documents:
            assert base is not None
            return FrozenDocuments(model, base, self.scale)
        large = (self.batch_size or 0) > MINI_BATCH and not has_static_embeddings(model)
        return info_nce(model, self.scale, self.mini_batch or (MINI_BATCH if large else None))

    @property
    def same_documents(self) -> bool:
        """True where only queries are trained."""
        return self.freeze_documents

    @property
    def lays_out_batches(self) -> bool:
        """True unless only queries are trained."""
        return not self.freeze_documents

    @property
    def mixed_fraction(self) -> float:
        """As the option says."""
        return self.mix_ratio

    @property
    def trainer_epochs(self) -> int:
        """One: the miner's examples hold all passes already."""
        return 1


class ReferenceTriplet(Recipe):
    """The reference recipe: triplet loss on cosine distance over mined hard and easy triplets."""

    name: ClassVar[str] = "triplet"

    margin: Annotated[float, Field(gt=0, description="Margin of the triplet loss, in cosine distance.")] = 0.1
    easy_per_hard: Annotated[int, Field(ge=0, description="Easy triplets kept per hard triplet.")] = 2

    def miner(self, texts: Texts) -> Miner:
        """Remembers triplets."""
        from training.mining.miners import TripletMiner

        return TripletMiner(texts, self.easy_per_hard)

    def full_loss(self, model: SentenceTransformer, base: State | None = None) -> nn.Module:
        """Triplet loss on cosine distance."""
        from training.recipes.losses import cosine_triplet

        return cosine_triplet(model, self.margin)


SPECIALIST: dict[str, Any] = {"min_gain_kept": 1.0}
"""Options of ``contrastive`` where only the domain's own queries matter."""

RECIPES: dict[str, type[Recipe]] = {recipe.name: recipe for recipe in (Contrastive, ReferenceTriplet)}


def make_recipe(name: str, options: dict[str, Any]) -> Recipe:
    """A recipe with some of its options changed; an option that is None keeps its default.

    Raises:
        TrainingError: an unknown recipe, or an option that it does not have or that is out of range.
    """
    if name not in RECIPES:
        raise TrainingError(f"unknown recipe {name!r}: expected {any_of(list(RECIPES))}")
    given = {key: value for key, value in options.items() if value is not None}
    if foreign := sorted(given.keys() - RECIPES[name].model_fields.keys()):
        raise TrainingError(f"recipe {name} has no {', '.join(f'`{option}`' for option in foreign)}")
    return RECIPES[name](**given)
