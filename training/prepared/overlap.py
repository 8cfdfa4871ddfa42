"""Keeps apart what one set is trained on and what another is measured on."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from training.errors import TrainingError
from training.prepared.format import PreparedData, Qrels
from training.splitting.near_duplicates import Grouping, near_duplicates

log = logging.getLogger(__name__)


def held_out_queries(data: PreparedData, splits: Sequence[str] = ("dev", "test")) -> list[str]:
    """The texts of the queries of some splits."""
    return [data.queries[query] for split in splits for query in data.qrels[split]]


def without_held_out(
    data: PreparedData, held_out: Iterable[str], grouping: Grouping = near_duplicates
) -> tuple[PreparedData, int]:
    """A set without training queries that are near-duplicates of held-out ones, and how many there were.

    A relevant document that is a near-duplicate of a held-out query is learnt from no longer, either: pairs may go both
    ways. A query that has no other is left out.

    Args:
        data: the set; its dev and test splits stay as they are.
        held_out: queries of other sets.
        grouping: finds near-duplicates.
    """
    train = data.qrels["train"]
    answers = list(dict.fromkeys(name for names in train.values() for name in names))
    texts = [*held_out, *(data.queries[query] for query in train), *(data.corpus[name] for name in answers)]
    groups = grouping(texts)
    count = len(texts) - len(train) - len(answers)
    known = set(groups[:count].tolist())
    asked = dict(zip(train, (group in known for group in groups[count : count + len(train)].tolist()), strict=True))
    answering = {
        name for name, group in zip(answers, groups[count + len(train) :].tolist(), strict=True) if group in known
    }
    kept: Qrels = {}
    own = dict(data.own)
    for query, names in train.items():
        rest = [name for name in names if name not in answering]
        if asked[query] or (names and not rest):
            continue
        kept[query] = rest
        if len(rest) < len(names):
            own[query] = [*own.get(query, ()), *(name for name in names if name in answering)]
    left_out = len(train) - len(kept)
    return replace(data, qrels={**data.qrels, "train": kept}, own=own), left_out


def seen_queries(
    data: PreparedData, training: Iterable[str], split: str = "test", grouping: Grouping = near_duplicates
) -> int:
    """How many queries of a split are near-duplicates of training queries."""
    held_out, asked = held_out_queries(data, (split,)), list(training)
    groups = grouping([*asked, *held_out]).tolist()
    known = set(groups[: len(asked)])
    return sum(group in known for group in groups[len(asked) :])


class KeptApart(NamedTuple):
    """Sets as they are trained on.

    Attributes:
        sets: those that are trained on and measured.
        mixed: those that are only trained on.
        left_out: how many training queries each of them lost, by name, if any.
        seen: how many queries of each other test set are near-duplicates of training queries, by name, if any.
    """

    sets: dict[str, PreparedData]
    mixed: dict[str, PreparedData]
    left_out: dict[str, int]
    seen: dict[str, int]


def keep_apart(
    sets: Mapping[str, PreparedData],
    mixed: Mapping[str, PreparedData],
    extra: Mapping[str, PreparedData],
    guards: Mapping[str, PreparedData],
    grouping: Grouping = near_duplicates,
) -> KeptApart:
    """Leave out training queries that another set holds out; within a set, its own splits decide.

    Other test sets change nothing: they can be added to a run later. Their queries that are trained on are counted.

    Args:
        sets: trained on and measured, by name.
        mixed: only trained on.
        extra: other test sets.
        guards: sets whose dev queries choose weights.
        grouping: finds near-duplicates.

    Raises:
        TrainingError: no training query of a set is left.
    """
    left_out: dict[str, int] = {}

    def apart(name: str, data: PreparedData) -> PreparedData:
        others = [(other, ("dev", "test")) for other in sets.values()] + [
            (guard, ("dev",)) for guard in guards.values()
        ]
        held_out = [
            text
            for other, splits in others
            if other.fingerprint != data.fingerprint
            for text in held_out_queries(other, splits)
        ]
        if not held_out:
            return data
        kept, number = without_held_out(data, held_out, grouping)
        if number:
            log.warning("%d training queries of %s are left out: they are held out in another set", number, name)
            left_out[name] = number
        if not kept.qrels["train"]:
            raise TrainingError(f"{name}: all training queries are held out in another set: leave one of the sets out")
        return kept

    trained = {name: apart(name or "the data", data) for name, data in sets.items()}
    added = {name: apart(name, data) for name, data in mixed.items()}
    seen: dict[str, int] = {}
    for name, test_set in extra.items():
        learnt = [each for each in (*trained.values(), *added.values()) if each.fingerprint != test_set.fingerprint]
        asked = [text for each in learnt for text in held_out_queries(each, ("train",))]
        if number := seen_queries(test_set, asked, grouping=grouping):
            log.warning("%d test queries of %s are near-duplicates of training queries", number, name)
            seen[name] = number
    return KeptApart(trained, added, left_out, seen)
