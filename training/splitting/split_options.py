"""How rows are split, as options say."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

import numpy as np

from training.errors import SourceError
from training.splitting.splits import Groups, Split, grouped_split, held_out_split, only_test_split, random_split
from training.tables.column_filter import ColumnFilter, matching_rows
from training.tables.part_column import PART, Placed


@dataclass(frozen=True)
class SplitOptions:
    """How rows are split.

    Attributes:
        split: ``grouped`` keeps near-duplicates on one side and counts equal texts once; ``random`` is the reference
            protocol, every row for itself; ``test`` makes every row a test row, for data that only measure, and
            counts equal texts once.
        test_size: share of rows in the test part.
        seed: of the split.
        hold_out: these rows are the test part, whatever ``test_size`` says. Under ``grouped`` the near-duplicates of
            held-out rows are in no part.
        hold_out_dev: these rows are the dev part, by which models are chosen, in the same way.

    Raises:
        SourceError: ``hold_out`` or ``hold_out_dev`` with the split ``test``.
    """

    split: Literal["grouped", "random", "test"] = "grouped"
    test_size: float = 0.2
    seed: int = 42
    hold_out: tuple[ColumnFilter, ...] = ()
    hold_out_dev: tuple[ColumnFilter, ...] = ()

    def __post_init__(self) -> None:
        if self.split == "test" and (self.hold_out or self.hold_out_dev):
            raise SourceError("`hold_out` cannot be used with `split` test: every row is a test row already")


def split_rows(rows: Sequence[Mapping[str, str]], groups: Callable[[], Groups], options: SplitOptions) -> Split:
    """Split rows as the options say.

    Args:
        rows: columns of every row.
        groups: finds the groups of near-duplicates, where they are needed.
        options: how.

    Raises:
        SourceError: the rows cannot be split so.
    """
    grouped = options.split == "grouped"
    if options.split == "test":
        return only_test_split(len(rows))
    if options.hold_out or options.hold_out_dev:
        test = matching_rows(rows, options.hold_out, "hold_out") if options.hold_out else None
        dev = matching_rows(rows, options.hold_out_dev, "hold_out_dev") if options.hold_out_dev else None
        apart = groups() if grouped else np.arange(len(rows))
        return held_out_split(apart, options.seed, test=test, dev=dev, test_size=options.test_size)
    if grouped:
        return grouped_split(groups(), options.test_size, options.seed)
    return random_split(len(rows), options.test_size, options.seed)


Options = TypeVar("Options", bound=SplitOptions)


def held_by_part(rows: Sequence[Placed], options: Options) -> Options:
    """The options, with the parts of the column ``part`` as what is held out; unchanged where every row is for testing.

    Raises:
        SourceError: the options hold rows out themselves.
    """
    parts = {row.columns.get(PART) for row in rows} - {None, "train"}
    if not parts or options.split == "test":
        return options
    if options.hold_out or options.hold_out_dev:
        raise SourceError(f"`hold_out` cannot be used with a column {PART!r}, which names the held-out rows already")
    held = {part: (ColumnFilter(PART, (part,)),) for part in parts if part}
    return replace(options, hold_out=held.get("test", ()), hold_out_dev=held.get("dev", ()))
