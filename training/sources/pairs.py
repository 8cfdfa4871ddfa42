"""Question-answer pairs from a file or a Hugging Face data set, every bad row reported with its place."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from registry.paths import PathLike
from training.tables.options import DEFAULTS, ReadOptions
from training.tables.part_column import part_field, with_parts
from training.tables.reading import BadRows, plain_fields, read_source, text_field

QUESTION_COLUMNS = ("question", "query", "q", "prompt", "instruction", "input", "anchor")
ANSWER_COLUMNS = (
    "answer",
    "response",
    "a",
    "passage",
    "positive",
    "context",
    "output",
    "completion",
    "document",
)


@dataclass(frozen=True)
class Pair:
    """A question and the text that answers it, white space collapsed."""

    question: str
    answer: str
    columns: Mapping[str, str] = field(default_factory=dict, compare=False)
    """The additional columns of its row that are kept, and ``part``, spelt as in ``PARTS``, where the row has one."""
    place: str = field(default="", compare=False)

    @property
    def text(self) -> str:
        """The query."""
        return self.question

    @property
    def relevant(self) -> tuple[str, ...]:
        """The texts that answer it."""
        return (self.answer,)

    @property
    def non_relevant(self) -> tuple[str, ...]:
        """No text is known to be wrong."""
        return ()

    @property
    def own(self) -> tuple[str, ...]:
        """No document but an equal one is known to be the question itself."""
        return ()


@dataclass
class Pairs:
    """The pairs of a source.

    Attributes:
        source: file or data set.
        pairs: in order.
        skipped: one line for each bad row.
        unlabelled: questions without answers.
    """

    source: str
    pairs: list[Pair] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    unlabelled: list[str] = field(default_factory=list)


def read_pairs(
    source: PathLike,
    options: ReadOptions = DEFAULTS,
    *,
    question: str | None = None,
    answer: str | None = None,
    unlabelled: PathLike | None = None,
) -> Pairs:
    """Read question-answer pairs.

    Args:
        source: a JSONL, JSON, CSV, TSV or Parquet file, plain or ``.gz``, or the id of a Hub data set.
        options: for reading.
        question: the question's column; by default the first of ``QUESTION_COLUMNS`` that the row has, in any case.
        answer: the answer's column; likewise of ``ANSWER_COLUMNS``.
        unlabelled: another file or Hub data set, of questions without answers, for a relevance judge.

    Raises:
        SourceError: the source cannot be read, a row is bad, or no row is left. A row without a part is bad if
            other rows have one.
    """

    source = os.fspath(source)

    def pair(place: str, fields: Mapping[str, Any]) -> Pair:
        return Pair(
            text_field(place, fields, question, QUESTION_COLUMNS, "question"),
            text_field(place, fields, answer, ANSWER_COLUMNS, "answer"),
            {**plain_fields(fields, options.columns), **part_field(place, fields)},
            place,
        )

    bad = BadRows(options.skip_bad)
    rows = read_source(source, pair, bad, options)
    asked = _questions(os.fspath(unlabelled), question) if unlabelled else []
    return Pairs(source, with_parts(rows, bad), bad.lines, asked)


def _questions(source: str, question: str | None) -> list[str]:
    """Questions without answers, whose column may also be called ``text``."""

    def text(place: str, fields: Mapping[str, Any]) -> str:
        return text_field(place, fields, question, (*QUESTION_COLUMNS, "text"), "question")

    return read_source(source, text, BadRows(skip=False))
