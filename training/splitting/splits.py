"""Splits rows into training rows, dev rows, by which models are chosen, and test rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import train_test_split

from training.errors import SourceError
from training.splitting.near_duplicates import near_duplicates
from training.splitting.options import SplitOptions
from training.tables.column_filter import ColumnFilter, matching_rows
from training.tables.part_column import PART, Placed

Options = TypeVar("Options", bound=SplitOptions)

DEV_FRACTION = 0.1
"""Of the rows that are not test rows."""
MAX_DEV_ROWS = 1000

Indices = NDArray[np.int64]
Groups = NDArray[np.int64]
"""A group number per row; rows with the same number belong together."""


@dataclass(frozen=True)
class Split:
    """Positions of the rows of each part; no row is in two parts."""

    train: Indices
    dev: Indices
    test: Indices


def split_rows(rows: Sequence[Mapping[str, str]], groups: Callable[[], Groups], options: SplitOptions) -> Split:
    """Split rows as the options say.

    Args:
        rows: columns of every row.
        groups: finds the groups of near-duplicates, if they are needed.
        options: how to split.

    Raises:
        SourceError: the rows cannot be split that way.
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


def held_by_part(rows: Sequence[Placed], options: Options) -> Options:
    """The options with the dev and test rows of the column ``part`` held out; unchanged with the split ``test``.

    Raises:
        SourceError: the options hold out rows as well.
    """
    parts = {row.columns.get(PART) for row in rows} - {None, "train"}
    if not parts or options.split == "test":
        return options
    if options.hold_out or options.hold_out_dev:
        raise SourceError(f"`hold_out` cannot be used with a column {PART!r}, which names the held-out rows already")
    held = {part: (ColumnFilter(PART, (part,)),) for part in parts if part}
    return options.replace(hold_out=held.get("test", ()), hold_out_dev=held.get("dev", ()))


def random_split(count: int, test_size: float, seed: int) -> Split:
    """The reference protocol: scikit-learn's ``train_test_split`` over rows in file order; dev comes from training."""
    _check_count(count)
    if count - math.ceil(count * test_size) < 2:
        raise SourceError(
            f"{count} rows with `test_size` {test_size} leave no rows for training and dev: choose a smaller one"
        )
    train, test = train_test_split(np.arange(count), test_size=test_size, random_state=seed)
    order = np.random.default_rng(seed).permutation(len(train))
    dev = order[: _dev_size(len(train))]
    return Split(np.delete(train, dev), train[dev], test)


def grouped_split(groups: Groups, test_size: float, seed: int) -> Split:
    """Keeps groups whole, in random order. A group that would overfill the test or dev part goes to training."""
    count = len(groups)
    _check_count(count)
    test = _draw(groups, round(count * test_size), seed)
    rest = np.flatnonzero(~np.isin(np.arange(count), test))
    dev = rest[_draw(groups[rest], _dev_size(len(rest)), seed + 1)]
    train = np.setdiff1d(rest, dev)
    if not (len(train) and len(dev) and len(test)):
        raise SourceError(
            f"{count} rows in {len(np.unique(groups))} groups of near-duplicates cannot be split three ways: "
            "add different rows, or choose `split` random"
        )
    return Split(train, dev, test)


def only_test_split(count: int) -> Split:
    """Every row is a test row, for data that are only measured on."""
    none = np.empty(0, dtype=np.int64)
    return Split(none, none, np.arange(count))


def held_out_split(
    groups: Groups,
    seed: int,
    *,
    test: NDArray[np.bool_] | None = None,
    dev: NDArray[np.bool_] | None = None,
    test_size: float = 0.2,
) -> Split:
    """Held-out rows become the test part, the dev part, or both; the other parts are drawn from the remaining rows.

    Args:
        groups: kept whole in the parts that are drawn; if one row of a group is held out, the others are in no other
            part.
        seed: of the drawn parts.
        test: which rows are held out for testing, ``(n,)``; rows that are also held out for dev are test rows.
        dev: which rows are held out for dev, ``(n,)``.
        test_size: fraction of all rows that are drawn for testing if none are held out.

    Raises:
        SourceError: a part is empty.
    """
    count = len(groups)
    none = np.zeros(count, dtype=bool)

    def apart(held: NDArray[np.bool_]) -> NDArray[np.bool_]:
        return ~np.isin(groups, groups[held])

    held_test = none if test is None else test
    held_dev = none if dev is None else dev & apart(held_test)
    rest = np.flatnonzero(apart(held_test) & apart(held_dev))
    tested = np.flatnonzero(held_test) if test is not None else _part(rest, groups, round(count * test_size), seed)
    rest = np.setdiff1d(rest, tested)
    chosen = np.flatnonzero(held_dev) if dev is not None else _part(rest, groups, _dev_size(len(rest)), seed)
    train = np.setdiff1d(rest, chosen)
    if not (len(train) and len(chosen) and len(tested)):
        raise SourceError(
            f"{(held_test | held_dev).sum()} of {count} rows are held out, and the remaining rows cannot be split "
            "into the other parts: hold out fewer"
        )
    return Split(train, chosen, tested)


def _check_count(count: int) -> None:
    if count < 3:
        raise SourceError(
            f"{count} row{'' if count == 1 else 's'} cannot be split three ways: at least 3 are needed, or choose "
            "`split` test for data that are only measured on"
        )


def _part(rest: Indices, groups: Groups, size: int, seed: int) -> Indices:
    return rest[_draw(groups[rest], size, seed)] if len(rest) else rest


def joint_groups(questions: Sequence[str], answers: Sequence[str]) -> Groups:
    """A group number per pair. Pairs whose questions or answers are near-duplicates share one."""
    count = len(questions)
    start = np.tile(np.arange(count), 2)
    end = np.concatenate([count + near_duplicates(questions), 2 * count + near_duplicates(answers)])
    graph = coo_matrix((np.ones(2 * count), (start, end)), shape=(3 * count, 3 * count))
    component = connected_components(graph, directed=False)[1][:count]
    return np.unique(component, return_inverse=True)[1].ravel()


def _draw(groups: Groups, size: int, seed: int) -> Indices:
    """Positions of randomly drawn whole groups, as many as fit into ``size``."""
    sizes = np.bincount(groups)
    chosen, filled = [], 0
    for group in np.random.default_rng(seed).permutation(len(sizes)):
        if sizes[group] and filled + sizes[group] <= size:
            chosen.append(group)
            filled += sizes[group]
    return np.flatnonzero(np.isin(groups, chosen))


def _dev_size(training: int) -> int:
    return min(MAX_DEV_ROWS, max(1, round(training * DEV_FRACTION)))
