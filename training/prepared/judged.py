"""Writes judged queries to a folder of prepared data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any

import numpy as np

from registry.paths import PathLike
from registry.texts.forms import text_key
from training.prepared.layout import lay_out
from training.prepared.options import PrepareOptions
from training.prepared.preparation import check_target, write_folder
from training.sources.judged import JudgedQuery, Judgements
from training.splitting.near_duplicates import Grouping, near_duplicates
from training.splitting.splits import Groups, Split, held_by_part, joint_groups, query_groups, split_rows
from training.tables.part_column import PART


def prepare_judged(
    source: Judgements,
    out: PathLike,
    options: PrepareOptions | None = None,
    overwrite: bool = False,
    grouping: Grouping = near_duplicates,
) -> dict[str, Any]:
    """Write a folder of prepared data that keeps the judged negatives; returns its manifest.

    Equal documents are merged. Splits are taken from a column ``part`` if there is one; if it has no training rows,
    nothing is split. ``grouped`` keeps near-duplicate queries in one split, and near-duplicate answers unless queries
    share a collection; in any case a query stays with those that it is an answer to. A training query that also occurs
    in dev or test is left out. The folder is written atomically.

    Args:
        source: the judged queries.
        out: folder to write.
        options: how they are split.
        overwrite: replace an earlier folder.
        grouping: finds near-duplicates.

    Raises:
        OutputError: the folder exists.
        SourceError: the queries cannot be split.
    """
    options = held_by_part(source.queries, options or PrepareOptions())
    check_target(out, overwrite)
    split = _given(source.queries, options) or split_rows(
        [query.columns for query in source.queries], lambda: _groups(source, grouping), options
    )
    split = _without_held_out(source.queries, split)
    given = [query.columns.get(PART) for query in source.queries]
    laid = lay_out(source.queries, split, options.chunk_characters, parts=given, others=source.documents or ())
    return write_folder(
        out,
        laid.corpus,
        laid.queries,
        laid.qrels,
        negatives=laid.negatives,
        own=laid.own,
        kind=source.kind,
        source=source.source,
        options=options.model_dump(),
        counts={
            **source.counts,
            "skipped": len(source.skipped),
            "left_out": len(source.queries) - sum(map(len, (split.train, split.dev, split.test))),
            "judged_negatives": sum(len(names) for part in laid.negatives.values() for names in part.values()),
        },
    )


def _given(queries: Sequence[JudgedQuery], options: PrepareOptions) -> Split | None:
    """The splits of the column ``part`` if it has no training rows to split; else None."""
    parts = np.array([query.columns.get(PART, "train") for query in queries])
    if options.split == "test" or "train" in parts:
        return None
    return Split(*(np.flatnonzero(parts == part) for part in ("train", "dev", "test")))


def _without_held_out(queries: Sequence[JudgedQuery], split: Split) -> Split:
    """The split without training queries that also occur in dev or test."""
    held_out = {text_key(queries[row].text) for rows in (split.dev, split.test) for row in rows}
    train = [row for row in split.train.tolist() if text_key(queries[row].text) not in held_out]
    return replace(split, train=np.array(train, dtype=np.int64))


def _groups(source: Judgements, grouping: Grouping) -> Groups:
    if source.documents is not None:
        relevant = [query.relevant for query in source.queries]
        return query_groups([query.text for query in source.queries], relevant, grouping)
    questions, answers = zip(*_pairs(source.queries), strict=True)
    starts = accumulate((len(query.relevant) for query in source.queries[:-1]), initial=0)
    return np.unique(joint_groups(questions, answers, grouping)[list(starts)], return_inverse=True)[1].ravel()


def _pairs(queries: Sequence[JudgedQuery]) -> Iterator[tuple[str, str]]:
    for query in queries:
        for text in query.relevant:
            yield query.text, text
