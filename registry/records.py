"""The records of a model version: its lineage, its measured gain, and the digest of every file."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, field_validator

from registry import names
from registry.errors import InvalidNameError

TEST = "test"
"""The reserved name of a domain's own test split among the test sets of a record."""

Metrics = dict[str, dict[str, FiniteFloat]]
"""Split name to metric name to value, as in ``metrics["test"]["mrr@5"]``."""


Ranking = Literal["model", "hybrid"]
"""How the routes of a domain are ranked: by its model alone, or by the model's ranking fused with that of BM25."""


def check_test_set(name: str) -> str:
    """Return a name that a test set may have.

    Raises:
        InvalidNameError: not lower-case words joined by ``-`` or ``_``, too long, or reserved.
    """
    names.check_name(name, "test set")
    if name == TEST:
        raise InvalidNameError(f"test set {TEST!r} is reserved for the domain's own: choose another name")
    return name


class Record(BaseModel):
    """What all records have in common: they never change, and an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class BaseModelRecord(Record):
    """The base model: its id on the Hugging Face Hub, or the absolute path of its folder."""

    name: str
    revision: str | None = None
    weights_sha256: str

    @property
    def hub_id(self) -> str | None:
        """Its whole id on the Hub; None for a folder."""
        return None if Path(self.name).is_absolute() else names.hub_id(self.name)

    @property
    def public_name(self) -> str:
        """Its name for others: of a folder only the last part of the path."""
        return self.name if self.hub_id else Path(self.name).name


class DatasetRecord(Record):
    """The prepared data that a model learned from."""

    fingerprint: str
    counts: dict[str, int]


class ComparisonRecord(Record):
    """One way to rank minus another: the mean over queries, its 95 % interval, and the p-value of a paired test.

    Where it is not said which, the adapted model minus its base.
    """

    difference: FiniteFloat
    low: FiniteFloat
    high: FiniteFloat
    p_value: FiniteFloat


class ComparedMetrics(Record):
    """Metrics of the base and of the adapted model on the same queries."""

    base: dict[str, FiniteFloat]
    adapted: dict[str, FiniteFloat]
    comparison: dict[str, ComparisonRecord] = Field(default_factory=dict, description="by metric")


class EvaluationRecord(ComparedMetrics):
    """How the base and the adapted model did on one test set."""

    fingerprint: str
    queries: int
    max_loss: FiniteFloat | None = Field(
        None, description="MRR@5 that the adapted model may lose at most; None for no limit"
    )
    lost_too_much: bool = False


class Lineage(Record):
    """What a model was made from, and how."""

    domain: str
    base_model: BaseModelRecord
    recipe: str
    options: dict[str, Any]
    dataset: DatasetRecord
    joined: dict[str, DatasetRecord] = Field(default_factory=dict, description="the sets of the dataset, if several")
    mixed: dict[str, DatasetRecord] = Field(default_factory=dict, description="other training data, by name")
    guards: dict[str, DatasetRecord] = Field(
        default_factory=dict, description="sets that the interpolation weight was chosen on too, by name"
    )
    judge: str | None = Field(None, description="the relevance judge of training; None if only labels were used")

    @field_validator("domain")
    @classmethod
    def _domain(cls, value: str) -> str:
        return names.check_domain(value)


class ModelRecord(Lineage):
    """All that training records of an adapted model."""

    base_metrics: Metrics
    adapted_metrics: Metrics
    dimension: int = Field(gt=0)
    max_length: int | None = Field(description="tokens a text is cut at; None where the model sets no limit")
    pooling: str
    normalized: bool
    improved: bool = Field(description="whether the model beat the untouched base on the dev split")
    comparison: dict[str, ComparisonRecord] = Field(default_factory=dict, description="on the test split, by metric")
    max_loss: FiniteFloat | None = Field(None, description="on the test split; as of an EvaluationRecord")
    lost_too_much: bool = False
    extra_test_sets: dict[str, EvaluationRecord] = Field(
        default_factory=dict, description="by name: the sets of the dataset, if several, and other test sets"
    )
    hybrid: dict[str, ComparisonRecord] = Field(
        default_factory=dict,
        description="the adapted model's ranking fused with BM25's, minus the model alone, on the dev split, by metric",
    )
    ranking: Ranking = Field("model", description="how routes are ranked that the model embeds")

    @property
    def evaluations(self) -> dict[str, EvaluationRecord]:
        """Every test set by name, the domain's own first."""
        own = EvaluationRecord(
            fingerprint=self.dataset.fingerprint,
            queries=self.dataset.counts.get("test_queries", 0),
            base=self.base_metrics["test"],
            adapted=self.adapted_metrics["test"],
            comparison=self.comparison,
            max_loss=self.max_loss,
            lost_too_much=self.lost_too_much,
        )
        return {TEST: own, **self.extra_test_sets}


class ArtifactFile(Record):
    """One file of an artifact; the path is relative to the model folder."""

    path: str
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    size: int = Field(ge=0)

    @field_validator("path")
    @classmethod
    def _path(cls, value: str) -> str:
        return names.check_file(value)


class Origin(Record):
    """Where an imported version was registered first."""

    name: str = Field(max_length=200)
    created: datetime
    author: str = Field(max_length=256)
    code_version: str = Field(max_length=64)

    @classmethod
    def of(cls, version: ModelVersion) -> Origin:
        """The origin of a version that others import."""
        return cls(**{name: getattr(version, name) for name in cls.model_fields})

    @field_validator("name", "author", "code_version")
    @classmethod
    def _printable(cls, value: str) -> str:
        if not value.isprintable():
            raise ValueError("must have printable characters only")
        return value


class ModelVersion(ModelRecord):
    """One immutable registered model of a domain."""

    version: int = Field(ge=1)
    created: datetime
    author: str
    code_version: str
    parent: int | None = Field(description="the champion at the time of publishing")
    artifact: str = Field(pattern="^[0-9a-f]{64}$", description="digest of the whole file list")
    files: tuple[ArtifactFile, ...]
    origin: Origin | None = Field(None, description="where it was registered first, if it was imported")

    @property
    def name(self) -> str:
        """The reference of this version, like ``medical@3``."""
        return f"{self.domain}@{self.version}"

    @property
    def size(self) -> int:
        """Bytes of all artifact files."""
        return sum(file.size for file in self.files)
