"""Options for splitting rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from registry.shared.options import Options, Shown
from training.errors import SourceError
from training.tables.column_filter import Filter

if TYPE_CHECKING:
    from typing_extensions import Self


class GroupingOptions(Options):
    """Where near-duplicates are found."""

    error = SourceError

    ray: Annotated[
        str | None,
        Field(description="Address of a Ray cluster that finds near-duplicates; local starts one on this machine."),
        Shown(default="this process", metavar="ADDRESS"),
    ] = None


_FILTERS = "COLUMN=VALUE,VALUE"


class SplitOptions(Options):
    """How rows are split into training, dev and test rows.

    ``grouped`` keeps near-duplicates in one part and merges equal texts. ``random`` is the reference protocol, which
    treats every row separately. ``test`` makes every row a test row and merges equal texts, for data that are only
    measured on. With ``hold_out`` under ``grouped``, near-duplicates of held-out rows are in no part.

    Raises:
        SourceError: ``hold_out`` or ``hold_out_dev`` with the split ``test``.
    """

    error = SourceError

    split: Annotated[
        Literal["grouped", "random", "test"],
        Field(
            description="grouped: near-duplicates share a split; random: the reference protocol; test: all rows are "
            "test rows."
        ),
    ] = "grouped"
    test_size: Annotated[float, Field(ge=0.01, le=0.9, description="Fraction of rows in the test split.")] = 0.2
    hold_out: Annotated[
        tuple[Filter, ...],
        Field(description="Test on the rows with these values only."),
        Shown(default="a random part, of the test size", metavar=_FILTERS),
    ] = ()
    hold_out_dev: Annotated[
        tuple[Filter, ...],
        Field(description="Choose models on the rows with these values only."),
        Shown(default="a tenth of the training rows", metavar=_FILTERS),
    ] = ()
    seed: Annotated[int, Field(ge=0, le=2**32 - 2, description="Seed of the split.")] = 42

    @model_validator(mode="after")
    def _check_held_out(self) -> Self:
        if self.split == "test" and (self.hold_out or self.hold_out_dev):
            raise SourceError("`hold_out` cannot be used with `split` test: every row is a test row already")
        return self
