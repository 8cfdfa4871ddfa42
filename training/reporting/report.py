"""The results of a training run: ``report.json``, from which the registry record, the card and the page are made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, field_validator
from pydantic_core import to_jsonable_python

from registry import ModelRecord
from registry.paths import PathLike, local_path
from registry.records import TEST, ComparedMetrics, ComparisonRecord, Lineage, Record
from registry.shared.outputs import write_atomically
from registry.shared.wording import first_fault
from training.errors import TrainingError

REPORT = "report.json"


class JudgedDocuments(Record):
    """How many documents a relevance judge graded in an iteration, and what it found."""

    judged: int
    relevant: int
    unknown: int


class Iteration(Record):
    """A state of the model: the base model, or what an iteration made of the state before it."""

    name: str
    dev: dict[str, float] = Field(description="metrics on the dev split, by which the best state is chosen")
    comparison: dict[str, ComparisonRecord] = Field(
        default_factory=dict, description="with the base model, by metric; empty for the base model itself"
    )
    mined: int = Field(0, description="examples that were mined")
    judged: JudgedDocuments | None = Field(None, description="what the relevance judge did; None without a judge")
    steps: int = Field(0, description="optimizer steps")
    loss: float | None = Field(None, description="mean over the steps; None for the base model")
    interpolation_weight: float | None = Field(
        None, description="of the trained weights, the rest being the base model's; None for the base model"
    )
    guards: dict[str, float] = Field(
        default_factory=dict, description="change of nDCG@10 on each guard's dev queries, as the weight was chosen"
    )
    seconds: float | None = Field(None, description="None for the base model")


class SeedResult(Record):
    """The state of one seed that is best on dev."""

    seed: int
    chosen: str
    dev: dict[str, float]
    test: dict[str, float]
    extra_test_sets: dict[str, dict[str, float]] = Field(description="metrics by test set")


class Baseline(Record):
    """A model that was trained on only one of several sets."""

    model: str = Field(description="its version, or its domain where it is not registered")
    test: dict[str, float] = Field(description="its metrics on the test split of that set")


class TrainingIdentity(Lineage):
    """Everything that decides the weights of a model: a run is resumed only with the same identity."""

    judge_depth: int | None = Field(None, description="documents that the judge grades per query and iteration")
    encoded_with: str = Field(description="the runtime that encoded texts for mining and measuring")

    @field_validator("options", mode="before")
    @classmethod
    def _as_in_json(cls, options: dict[str, Any]) -> Any:
        """Tuples as lists, so that what was read back equals what was written."""
        return to_jsonable_python(options)


class TrainingReport(TrainingIdentity, ModelRecord):
    """The results of a training run. It is kept with the model; the registry keeps :meth:`record`."""

    iterations: list[Iteration] = Field(min_length=1, description="of the seed that was kept, the base model first")
    chosen: str = Field(description="the state that was kept")
    dims: dict[int, ComparedMetrics] = Field(description="on the test split, by the number of leading dimensions")
    seeds: list[SeedResult]
    single_set_baselines: dict[str, Baseline] = Field(description="by the set that each was trained on")
    left_out: dict[str, int] = Field(
        default_factory=dict, description="training queries of each set that were left out: another set holds them out"
    )
    seen_in_training: dict[str, int] = Field(
        default_factory=dict, description="queries of other test sets that are near-duplicates of training queries"
    )
    device: str
    threads: int
    seconds: float

    @property
    def identity(self) -> TrainingIdentity:
        """The part that was known before the run began."""
        return TrainingIdentity(**{name: getattr(self, name) for name in TrainingIdentity.model_fields})

    def record(self) -> ModelRecord:
        """What the registry keeps."""
        return ModelRecord(**{name: getattr(self, name) for name in ModelRecord.model_fields})

    def save(self, folder: PathLike) -> None:
        """Write ``report.json`` into a model folder.

        Raises:
            OutputError: the file cannot be written.
        """
        write_atomically(local_path(folder) / REPORT, self.model_dump_json(indent=2) + "\n")

    @classmethod
    def load(cls, folder: PathLike) -> TrainingReport:
        """Read the report of a model folder.

        Raises:
            TrainingError: the folder has no report, or it cannot be read, or another build wrote it.
        """
        folder = local_path(folder, TrainingError)
        path = folder / REPORT
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise TrainingError(f"{folder}: no {REPORT}: expected a folder that 'domain-router train' wrote") from None
        except OSError as error:
            raise TrainingError(f"{path}: cannot be read: {error.strerror}") from error
        try:
            return cls.model_validate_json(content)
        except ValidationError as error:
            raise TrainingError(
                f"{path}: not a report of this build of domain-router: {first_fault(error)}: train the model again"
            ) from error


def read_finished(
    folder: Path,
    identity: TrainingIdentity,
    baselines: Mapping[str, Baseline],
    fingerprints: Mapping[str, str],
    max_loss: Mapping[str, float],
) -> TrainingReport | None:
    """The report of a model folder, if a run with exactly these arguments wrote it.

    Args:
        folder: the model folder; it may not exist.
        identity: of the run.
        baselines: models to compare with, by set.
        fingerprints: of every test set but the domain's own, by name.
        max_loss: limits by test set.
    """
    try:
        report = TrainingReport.load(folder)
    except TrainingError:
        return None
    limits = {name: found.max_loss for name, found in report.evaluations.items() if found.max_loss is not None}
    measured = {name: found.fingerprint for name, found in report.evaluations.items() if name != TEST}
    found = (report.identity, report.single_set_baselines, measured, limits)
    return report if found == (identity, dict(baselines), dict(fingerprints), dict(max_loss)) else None
