"""Reads triplets from a file or a Hugging Face data set: queries, texts that answer them, and texts that do not."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from registry.paths import PathLike
from training.errors import SourceError
from training.sources.judged import JudgedQuery, Judgements, merged
from training.sources.pairs import ANSWER_COLUMNS, QUESTION_COLUMNS
from training.tables.cells import as_list, is_empty
from training.tables.options import DEFAULTS, ReadOptions
from training.tables.part_column import part_field, with_parts
from training.tables.reading import BadRows, column_named, plain_fields, plain_text, read_source, text_field

ANCHOR_COLUMNS = ("anchor", *(name for name in QUESTION_COLUMNS if name != "anchor"))
POSITIVE_COLUMNS = ("positive", "positives", "pos", *(name for name in ANSWER_COLUMNS if name != "positive"))

_NEGATIVE = re.compile(r"(hard[ _-]?)?neg(ative)?s?([ _-]?\d+)?", re.IGNORECASE)


def read_triplets(
    source: PathLike,
    options: ReadOptions = DEFAULTS,
    *,
    question: str | None = None,
    answer: str | None = None,
    negative: Sequence[str] = (),
) -> Judgements:
    """Read queries with positives and any number of negatives, the usual form of data for contrastive training.

    Args:
        source: a JSONL, JSON, CSV, TSV or Parquet file, plain or ``.gz``, or the id of a Hub data set.
        options: for reading.
        question: the query's column; by default the first of ``ANCHOR_COLUMNS`` that the row has, in any case.
        answer: the column of its positive, or of a list of positives; likewise of ``POSITIVE_COLUMNS``. In a table of
            text, a list is written as in JSON or Python.
        negative: the columns of its negatives, or of lists of negatives; by default all columns called ``negative``,
            ``neg`` or ``hard_negative``, with or without a number.

    Raises:
        SourceError: the source cannot be read, a row is bad, or no row is left. A row without a part is bad if
            other rows have one.
    """

    source = os.fspath(source)

    def triplet(place: str, fields: Mapping[str, Any]) -> JudgedQuery:
        anchor = text_field(place, fields, question, ANCHOR_COLUMNS, "question")
        right = column_named(place, fields, answer, POSITIVE_COLUMNS, "answer")
        relevant = tuple(_texts(place, right, fields[right]))
        if not relevant:
            raise SourceError(f"{place}: {right} is empty: expected a text, or a list of texts")
        wrong = [text for name in _negatives(place, fields, negative) for text in _texts(place, name, fields[name])]
        kept = {**plain_fields(fields, options.columns), **part_field(place, fields)}
        return JudgedQuery(place, anchor, relevant, tuple(wrong), kept)

    bad = BadRows(options.skip_bad)
    rows = with_parts(read_source(source, triplet, bad, options), bad)
    queries, both = merged(rows)
    counts = {"rows": len(rows), "different_queries": len(queries), "judged_both_ways": both}
    return Judgements(source, "triplets", queries, None, bad.lines, counts)


def _negatives(place: str, fields: Mapping[str, Any], named: Sequence[str]) -> list[str]:
    if named:
        return [column_named(place, fields, name, (), "negative") for name in named]
    return [name for name in fields if isinstance(name, str) and _NEGATIVE.fullmatch(name.strip())]


def _texts(place: str, name: str, value: Any) -> Iterator[str]:
    """The texts of a cell: one, a list of texts, or none."""
    try:
        found = as_list(value)
    except ValueError as error:
        raise SourceError(f"{place}: {name} {error}") from None
    for each in found:
        if not is_empty(each):
            yield plain_text(place, name, each)
