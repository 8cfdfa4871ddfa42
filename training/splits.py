"""Which pairs are for training, for choosing (dev) and for the last measurement (test)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import train_test_split

from training.duplicates import near_duplicates
from training.errors import SourceError
from training.pairs import Pair

DEV_SHARE = 0.1
DEV_MOST = 1000

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """Positions of pairs; no pair is in two parts."""

    train: Indices
    dev: Indices
    test: Indices


def random_split(count: int, test_size: float, seed: int) -> Split:
    """The reference protocol: scikit-learn's ``train_test_split`` over pairs in file order, dev out of training."""
    if count < 3:
        raise SourceError(f"{count} pairs cannot be split three ways: at least 3 are needed")
    if count - math.ceil(count * test_size) < 2:
        raise SourceError(f"{count} pairs with --test-size {test_size} leave no training and dev queries")
    train, test = train_test_split(np.arange(count), test_size=test_size, random_state=seed)
    order = np.random.default_rng(seed).permutation(len(train))
    dev = order[: _dev_size(len(train))]
    return Split(np.delete(train, dev), train[dev], test)


def grouped_split(pairs: Sequence[Pair], test_size: float, seed: int) -> Split:
    """Whole groups only: pairs whose questions or answers are near-duplicates stay on one side.

    Groups are dealt in random order; one that would overfill the test or dev part goes to training.
    """
    if len(pairs) < 3:
        raise SourceError(f"{len(pairs)} pairs cannot be split three ways: at least 3 are needed")
    groups = joint_groups([pair.question for pair in pairs], [pair.answer for pair in pairs])
    test = _deal(groups, round(len(pairs) * test_size), seed)
    rest = np.flatnonzero(~np.isin(np.arange(len(pairs)), test))
    dev = rest[_deal(groups[rest], _dev_size(len(rest)), seed + 1)]
    train = np.setdiff1d(rest, dev)
    if not (len(train) and len(dev) and len(test)):
        raise SourceError(
            f"{len(pairs)} pairs in {groups.max() + 1} groups of near-duplicates cannot be split three ways: "
            "more different pairs are needed, or --split random"
        )
    return Split(train, dev, test)


def only_test_split(count: int) -> Split:
    """Every pair for testing: data that only measure."""
    none = np.empty(0, dtype=np.int64)
    return Split(none, none, np.arange(count))


def held_out_split(
    pairs: Sequence[Pair],
    grouped: bool,
    seed: int,
    *,
    test: NDArray[np.bool_] | None = None,
    dev: NDArray[np.bool_] | None = None,
    test_size: float = 0.2,
) -> Split:
    """Held-out pairs for testing, for choosing, or both; a part for which none are held out is dealt from the others.

    Args:
        pairs: any number of pairs.
        grouped: whether near-duplicates of held-out pairs are left out of every other part, and what is dealt is whole
            groups.
        seed: of what is dealt.
        test: which pairs are held out for testing, ``(n,)``; a pair that is held out for dev too is for testing.
        dev: which pairs are held out for dev, ``(n,)``.
        test_size: share of all pairs that are dealt for testing where none are held out for that.

    Raises:
        SourceError: a part is empty.
    """
    none = np.zeros(len(pairs), dtype=bool)
    groups = np.arange(len(pairs))
    if grouped:
        groups = joint_groups([pair.question for pair in pairs], [pair.answer for pair in pairs])

    def apart(held: NDArray[np.bool_]) -> NDArray[np.bool_]:
        return ~np.isin(groups, groups[held])

    held_test = none if test is None else test
    held_dev = none if dev is None else dev & apart(held_test)
    rest = np.flatnonzero(apart(held_test) & apart(held_dev))
    tested = np.flatnonzero(held_test) if test is not None else _part(rest, groups, round(len(pairs) * test_size), seed)
    rest = np.setdiff1d(rest, tested)
    chosen = np.flatnonzero(held_dev) if dev is not None else _part(rest, groups, _dev_size(len(rest)), seed)
    train = np.setdiff1d(rest, chosen)
    if not (len(train) and len(chosen) and len(tested)):
        raise SourceError(
            f"{(held_test | held_dev).sum()} of {len(pairs)} pairs are held out, and what is left cannot be split into "
            "the other parts: hold out less"
        )
    return Split(train, chosen, tested)


def _part(rest: Indices, groups: NDArray[np.int64], size: int, seed: int) -> Indices:
    return rest[_deal(groups[rest], size, seed)] if len(rest) else rest


def joint_groups(questions: Sequence[str], answers: Sequence[str]) -> NDArray[np.int64]:
    """A group number for every pair; two pairs share one where questions or answers are near-duplicates."""
    count = len(questions)
    by_question, by_answer = near_duplicates(questions), near_duplicates(answers)
    question_node = count + by_question
    answer_node = question_node.max() + 1 + by_answer
    start = np.tile(np.arange(count), 2)
    end = np.concatenate([question_node, answer_node])
    nodes = int(end.max()) + 1
    graph = coo_matrix((np.ones(2 * count), (start, end)), shape=(nodes, nodes))
    component = connected_components(graph, directed=False)[1][:count]
    return np.unique(component, return_inverse=True)[1].ravel()


def _deal(groups: NDArray[np.int64], size: int, seed: int) -> Indices:
    """Positions in randomly drawn whole groups, as many as fit into ``size``."""
    sizes = np.bincount(groups)
    chosen, filled = [], 0
    for group in np.random.default_rng(seed).permutation(len(sizes)):
        if sizes[group] and filled + sizes[group] <= size:
            chosen.append(group)
            filled += sizes[group]
    return np.flatnonzero(np.isin(groups, chosen))


def _dev_size(training: int) -> int:
    return min(DEV_MOST, max(1, round(training * DEV_SHARE)))
