"""Options of a training run but for its data and its recipe. Importing it does not import torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass

from registry.model_folders.variants import Backend
from registry.shared.options import Device, Options, Shown, TrustRemoteCode, in_words, numbers_by_name
from training.errors import TrainingError

if TYPE_CHECKING:
    from typing_extensions import Self

Seed = Annotated[int, Field(ge=0, le=2**31)]


def _distinct(seeds: tuple[int, ...]) -> tuple[int, ...]:
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError("expected at least one seed, and no duplicates: each seed gives one model")
    return seeds


def _address(given: str | None) -> str | None:
    """An address of a server, without names and passwords, which would be shown."""
    if given is not None:
        parts = urlsplit(given)
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc or parts.query:
            raise ValueError("expected an address like http://127.0.0.1:8700")
    return given


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class TrainingOptions:
    """How a recipe is run, and how its result is judged: the part of a :class:`training.TrainingJob` that is typed in.

    Raises:
        TrainingError: a value of another type or out of range.
    """

    error: ClassVar[type[TrainingError]] = TrainingError

    batch_shares: Annotated[
        dict[str, Annotated[float, Field(gt=0, lt=1)]],
        Field(
            description="With several training sets, fraction of the batches that come from one; sets that are not "
            "named divide the rest evenly."
        ),
        BeforeValidator(numbers_by_name),
        Shown(default="the same for all", metavar="NAME=FRACTION"),
    ] = field(default_factory=dict)
    max_loss: Annotated[
        dict[str, Annotated[float, Field(ge=0, le=1)]],
        Field(
            description="MRR@5 that the model may lose on a test set; test is the domain's own. A model that loses "
            "more is written, but published only by force."
        ),
        BeforeValidator(numbers_by_name),
        Shown(default="no limit", metavar="NAME=LOSS"),
    ] = field(default_factory=dict)
    guard_loss: Annotated[
        dict[str, Annotated[float, Field(ge=0, le=1)]],
        Field(
            description="nDCG@10 that may be lost on the dev queries of a --guard, where the interpolation weight is "
            "chosen."
        ),
        BeforeValidator(numbers_by_name),
        Shown(default="0", metavar="NAME=LOSS"),
    ] = field(default_factory=dict)
    without_bundled_questions: Annotated[
        bool, Field(description="Mix in none of the questions in people's own words that come with the package.")
    ] = False
    seeds: Annotated[
        tuple[Seed, ...],
        Field(
            description="Seed of everything random; of several, each trains a model, and the best on dev is kept, or "
            "their mean."
        ),
        AfterValidator(_distinct),
        Shown(metavar="<int>"),
    ] = (42,)
    judge_depth: Annotated[
        int, Field(ge=1, le=15, description="Documents that the judge grades per query and iteration.")
    ] = 5
    encode_batch: Annotated[int, Field(ge=1, description="Texts encoded at a time.")] = 64
    encode_with: Annotated[
        Backend | None,
        Field(description="Runtime that encodes texts for mining and measuring."),
        Shown(default="torch"),
    ] = None
    ray: Annotated[
        str | None,
        Field(
            description="Address of a Ray cluster that encodes documents, ranks them and finds near-duplicates; local "
            "starts one on this machine."
        ),
        Shown(default="this process", metavar="ADDRESS"),
    ] = None
    allow_unreadable: Annotated[
        bool, Field(description="Train although the base model cannot read most of the queries or documents.")
    ] = False
    report_to: Annotated[
        str | None,
        Field(
            description="Address of a server that was started with `serve --runs`: its console shows the run while it "
            "goes on. A key is read from $DOMAIN_ROUTER_API_KEY."
        ),
        AfterValidator(_address),
        Shown(default="none", metavar="URL"),
    ] = None
    device: Device = None
    trust_remote_code: TrustRemoteCode = False

    @model_validator(mode="wrap")
    @classmethod
    def _in_words(cls, values: Any, validate: Callable[[Any], Any]) -> Any:
        return in_words(cls, values, validate)


class WorkerOptions(Options):
    """By how many processes of a Ray cluster a model is fine-tuned.

    Raises:
        TrainingError: a value of another type or out of range; what is of no use without `ray_workers`.
    """

    error: ClassVar[type[TrainingError]] = TrainingError

    ray_workers: Annotated[
        int | None,
        Field(ge=1, description="With --ray: processes of the cluster that train together, as those of torchrun do."),
        Shown(default="none: this process trains"),
    ] = None
    min_ray_workers: Annotated[
        int | None,
        Field(ge=1, description="Train by so few of them while the cluster has no room for more."),
        Shown(default="all"),
    ] = None
    gpus_per_worker: Annotated[float, Field(ge=0, description="GPUs of each of them; 0 trains on cores.")] = 0.0

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.ray_workers is None and self.model_fields_set - {"ray_workers"}:
            raise TrainingError(f"`{min(self.model_fields_set - {'ray_workers'})}` needs `ray_workers`")
        if (self.min_ray_workers or 1) > (self.ray_workers or 1):
            raise TrainingError(f"`min_ray_workers` {self.min_ray_workers}: expected at most `ray_workers`")
        return self

    @property
    def group_size(self) -> int | tuple[int, int]:
        """The number of workers, or the least and the largest, as Ray Train takes it."""
        largest = self.ray_workers or 1
        return largest if self.fewest == largest else (self.fewest, largest)

    @property
    def fewest(self) -> int:
        """The number of workers that must be there to train."""
        return self.min_ray_workers or self.ray_workers or 1
