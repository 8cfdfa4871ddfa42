"""Splits rows into training rows, dev rows, by which models are chosen, and test rows."""

from __future__ import annotations

import logging
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
from training.splitting.near_duplicates import Grouping, near_duplicates
from training.splitting.options import SplitOptions
from training.tables.column_filter import ColumnFilter, matching_rows
from training.tables.part_column import PART, Placed

log = logging.getLogger(__name__)

Options = TypeVar("Options", bound=SplitOptions)

DEV_FRACTION = 0.1
"""Of the rows that are not test rows."""
MAX_DEV_ROWS = 1000

_OFTEN = (100, 30, 10)
"""Occurrences of a text that are often, tried in turn."""

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
    """Keeps groups whole, in random order. A group that would overfill the test or dev part goes to training.

    Where every group would, the smallest one goes in: three groups are enough. A warning is logged if one group has
    most of the rows, as with answers like "yes": then the other parts say little about it.

    Raises:
        SourceError: there are fewer than three groups.
    """
    count = len(groups)
    _check_count(count)
    different = len(np.unique(groups))
    if different < 3:
        raise SourceError(
            f"{count} rows in {different} group{'' if different == 1 else 's'} of near-duplicates cannot be split "
            "three ways: a group stays together. Add rows whose texts are unlike these, or choose `split` test for "
            "data that are only measured on"
        )
    test = _draw(groups, round(count * test_size), seed, left=2)
    rest = np.flatnonzero(~np.isin(np.arange(count), test))
    dev = rest[_draw(groups[rest], _dev_size(len(rest)), seed + 1, left=1)]
    largest = int(np.bincount(groups).max())
    if largest > count / 2:
        log.warning(
            "%d of %d rows are near-duplicates of each other, or have a text in common, and stay together: the dev and "
            "test parts are drawn from the others",
            largest,
            count,
        )
    return Split(np.setdiff1d(rest, dev), dev, test)


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
    return rest[_draw(groups[rest], size, seed, left=1)] if len(rest) else rest


def joint_groups(questions: Sequence[str], answers: Sequence[str], grouping: Grouping = near_duplicates) -> Groups:
    """A group number per pair. Pairs that have nearly the same text share one.

    A question and an answer may be that text, too: with pairs that go both ways, as in data of duplicate questions, one
    direction would otherwise be trained on and the other tested on. In dialogues, texts like "ok" would so tie nearly
    all pairs. Where more than half of the pairs would be one group, texts that occur often tie questions to questions
    and answers to answers only, and a warning is logged.

    Args:
        questions: of the pairs.
        answers: of the pairs.
        grouping: finds near-duplicates.
    """
    count = len(questions)
    texts = grouping([*questions, *answers])
    times = np.bincount(texts)[texts] if count else texts
    groups = _of_pairs(texts)
    if _largest(groups) <= count / 2 or times.max() <= _OFTEN[-1]:
        return groups
    most = max(count / 2, _largest(_of_pairs(texts, times > 0)))
    limit = next((limit for limit in _OFTEN if _largest(_of_pairs(texts, times > limit)) <= most), 0)
    log.warning(
        "texts that occur often, like %r, do not keep questions and answers together: otherwise %d of %d pairs would "
        "have to be in one part",
        [*questions, *answers][int(times.argmax())][:60],
        _largest(groups),
        count,
    )
    return _of_pairs(texts, times > limit)


def _of_pairs(texts: Groups, frequent: NDArray[np.bool_] | bool = False) -> Groups:
    """Groups of pairs, from the groups of all questions, then of all answers, ``(2 n,)``.

    Args:
        texts: the groups.
        frequent: which texts do not tie a question to an answer, ``(2 n,)``; a pair and its reverse are tied anyway.
    """
    count = len(texts) // 2
    number, is_answer = int(texts.max(initial=-1)) + 1, np.repeat([False, True], count)
    both = np.unique(np.sort(texts.reshape(2, count), axis=0), axis=1, return_inverse=True)[1].ravel()
    ends = [texts + number * (is_answer & frequent), 2 * number + both]
    return _tied(count, np.tile(np.arange(count), 3), np.concatenate(ends))


def query_groups(
    queries: Sequence[str], relevant: Sequence[Sequence[str]], grouping: Grouping = near_duplicates
) -> Groups:
    """A group number per query of a collection. Queries that are near-duplicates share one.

    So do a query and those that it, or a near-duplicate of it, is relevant to as a document. Documents alone keep no
    queries together: many queries may have the same answer.

    Args:
        queries: at least one.
        relevant: the relevant documents of each.
        grouping: finds near-duplicates.
    """
    number: dict[str, int] = {}
    found = [(row, number.setdefault(text, len(number))) for row, texts in enumerate(relevant) for text in texts]
    texts = grouping([*queries, *number])
    asked, answers = texts[: len(queries)], texts[len(queries) :]
    ties = [(row, answers[text]) for row, text in found]
    rows, ends = np.array([*enumerate(asked), *ties], dtype=np.int64).T
    tied = np.isin(ends, asked)
    return _tied(len(queries), rows[tied], ends[tied])


def _largest(groups: Groups) -> int:
    return int(np.bincount(groups).max(initial=0))


def _tied(count: int, rows: Indices, texts: Groups) -> Groups:
    """A group number per row, from 0 without gaps; rows with a text in common share one.

    Args:
        count: number of rows.
        rows: of each text, ``(n,)``.
        texts: the group of each text, ``(n,)``.
    """
    size = count + int(texts.max(initial=-1)) + 1
    graph = coo_matrix((np.ones(len(rows)), (rows, count + texts)), shape=(size, size))
    component = connected_components(graph, directed=False)[1][:count]
    groups: Groups = np.unique(component, return_inverse=True)[1].ravel()
    return groups


def _draw(groups: Groups, size: int, seed: int, left: int) -> Indices:
    """Positions of randomly drawn whole groups, as many as fit into ``size``; the smallest one where none fits.

    At least ``left`` groups are not drawn.
    """
    sizes = np.bincount(groups)
    order = [group for group in np.random.default_rng(seed).permutation(len(sizes)).tolist() if sizes[group]]
    chosen: list[int] = []
    filled = 0
    for group in order:
        if filled + sizes[group] <= size and len(chosen) < len(order) - left:
            chosen.append(group)
            filled += sizes[group]
    if not chosen and len(order) > left:
        chosen.append(min(order, key=lambda group: int(sizes[group])))
    return np.flatnonzero(np.isin(groups, chosen))


def _dev_size(training: int) -> int:
    return min(MAX_DEV_ROWS, max(1, round(training * DEV_FRACTION)))
