"""What a training run sends of itself: always the whole state so far, so that nothing depends on an earlier request."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from registry.records import ModelRecord

MAX_PAGE = 8_000_000
"""Characters of a report page."""
SILENT = timedelta(minutes=1)
"""After which nothing is known of a run that has not ended; it sends something every few seconds."""
ENDED = ("finished", "failed", "interrupted")

RunId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Name = Annotated[str, Field(max_length=200)]
Count = Annotated[int, Field(ge=0, le=10**12)]
Figures = Annotated[dict[Name, FiniteFloat], Field(max_length=100)]


class Iteration(BaseModel):
    """A state of the model that was measured: the base model first."""

    name: Name
    dev: Figures = Field(description="Metrics on the dev split.")


class Step(BaseModel):
    """Where a fine-tuning is."""

    iteration: Name
    step: Count
    steps: Count


class LossCurve(BaseModel):
    """The loss of an iteration: the mean over the steps since the point before."""

    iteration: Name
    steps: list[Count] = Field(max_length=1000)
    losses: list[FiniteFloat | None] = Field(max_length=1000, description="Null where it was not finite.")


class FinishedReport(ModelRecord):
    """What ``report.json`` says, as far as the console shows it."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    chosen: Name = Field(description="The state that was kept.")
    seconds: FiniteFloat


class RunReport(BaseModel):
    """The whole state of a run."""

    name: Name = Field(description="Of its model folder, without the path.")
    state: Literal["running", "finished", "failed", "interrupted"]
    doing: str = Field(default="", max_length=200, description="What it does now.")
    error: str = Field(default="", max_length=2000, description="Why it failed.")
    seconds: FiniteFloat = Field(ge=0, description="Time spent, that of killed processes included.")
    domain: Name
    recipe: Name
    base_model: Name
    fingerprint: Name = Field(description="Of the prepared data.")
    counts: Annotated[dict[Name, Count], Field(max_length=100)] = Field(description="Of the prepared data.")
    options: Annotated[dict[Name, Any], Field(max_length=200)] = Field(description="Of the recipe.")
    iterations: int = Field(ge=1, le=1_000_000, description="That will be trained, of all seeds together.")
    step: Step | None = Field(default=None, description="Null while nothing is fine-tuned.")
    losses: list[LossCurve] = Field(default=[], max_length=100)
    measured: list[Iteration] = Field(default=[], max_length=1000)
    report: FinishedReport | None = Field(default=None, description="What `report.json` says, when it has finished.")


class StoredRun(BaseModel):
    """A run as it is kept."""

    began: datetime
    heard: datetime
    report: RunReport


class Run(NamedTuple):
    """A run that the server knows.

    Attributes:
        id: of it.
        began: when it was heard of first, by the server's clock.
        heard: when it was heard of last.
        report: its state then.
        has_page: whether there is a report page.
    """

    id: str
    began: datetime
    heard: datetime
    report: RunReport
    has_page: bool

    def state(self, now: datetime) -> str:
        """``running``, ``finished``, ``failed``, ``interrupted``, or ``silent`` where it should have been heard of."""
        if self.report.state == "running" and now - self.heard > SILENT:
            return "silent"
        return self.report.state

    @property
    def done(self) -> float:
        """The fraction of all iterations that is done, steps of the current one included."""
        if self.report.state == "finished":
            return 1.0
        trained = sum(each.name.rpartition("iteration-")[2].isdigit() for each in self.report.measured)
        step = self.report.step
        current = min(step.step / step.steps, 1.0) if step and step.steps else 0.0
        return min((trained + current) / self.report.iterations, 1.0)
