"""Queries with texts that answer them and texts that do not, from a file or a Hugging Face data set."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from training.errors import SourceError
from training.sources.judged import JudgedQuery, Judgements, merged
from training.sources.pairs import ANSWER_COLUMNS, QUESTION_COLUMNS
from training.sources.part_column import part_field, with_parts
from training.sources.reading import BadRows, HubPart, column_named, plain_fields, plain_text, read_source, text_field

ANCHOR_COLUMNS = ("anchor", *(name for name in QUESTION_COLUMNS if name != "anchor"))
POSITIVE_COLUMNS = ("positive", "positives", "pos", *(name for name in ANSWER_COLUMNS if name != "positive"))

_NEGATIVE = re.compile(r"(hard[ _-]?)?neg(ative)?s?([ _-]?\d+)?", re.IGNORECASE)


def read_triplets(
    source: str,
    *,
    question: str | None = None,
    answer: str | None = None,
    negative: Sequence[str] = (),
    columns: Sequence[str] = (),
    hub_split: str = "train",
    hub_config: str | None = None,
    hub_revision: str | None = None,
    skip_bad: bool = False,
) -> Judgements:
    """Read queries with what answers them and any number of negatives, as they are given to contrastive training.

    Args:
        source: a JSONL, JSON, CSV, TSV or Parquet file, plain or ``.gz``, or the id of a Hub data set.
        question: the query's column; by default the first of ``ANCHOR_COLUMNS`` that the row has, in any case.
        answer: the column of the text that answers it, or of a list of such; likewise of ``POSITIVE_COLUMNS``.
        negative: the columns of texts that do not, or of lists of such; by default all that are called ``negative``,
            ``neg`` or ``hard_negative``, with or without a number.
        columns: other columns to keep, as text; a row that lacks one, or holds no plain value there, goes without.
        hub_split: split of a Hub data set.
        hub_config: configuration of a Hub data set.
        hub_revision: revision of a Hub data set.
        skip_bad: count bad rows instead of stopping at the first.

    Raises:
        SourceError: the source cannot be read, a row is bad, or no row is left. A row is bad, too, if it has no part
            where others have one.
    """

    def triplet(place: str, fields: Mapping[str, Any]) -> JudgedQuery:
        anchor = text_field(place, fields, question, ANCHOR_COLUMNS, "question")
        right = column_named(place, fields, answer, POSITIVE_COLUMNS, "answer")
        relevant = tuple(_texts(place, right, fields[right]))
        if not relevant:
            raise SourceError(f"{place}: {right} is empty: expected a text, or a list of texts")
        wrong = [text for name in _negatives(place, fields, negative) for text in _texts(place, name, fields[name])]
        kept = {**plain_fields(fields, columns), **part_field(place, fields)}
        return JudgedQuery(place, anchor, relevant, tuple(wrong), kept)

    bad = BadRows(skip_bad)
    rows = with_parts(read_source(source, triplet, bad, HubPart(hub_split, hub_config, hub_revision)), bad)
    queries, both = merged(rows)
    counts = {"rows": len(rows), "different_queries": len(queries), "judged_both_ways": both}
    return Judgements(source, "triplets", queries, None, bad.lines, counts)


def _negatives(place: str, fields: Mapping[str, Any], named: Sequence[str]) -> list[str]:
    if named:
        return [column_named(place, fields, name, (), "negative") for name in named]
    return [name for name in fields if isinstance(name, str) and _NEGATIVE.fullmatch(name.strip())]


def _texts(place: str, name: str, value: Any) -> Iterator[str]:
    """The texts of a cell: one, a list, or none where nothing stands there."""
    for each in value if isinstance(value, list) else [value]:
        if each is not None and each != "":
            yield plain_text(place, name, each)
