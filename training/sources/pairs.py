"""Question-answer pairs from a file or a Hugging Face data set, every bad row reported with its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from training.sources.part_column import part_field, with_parts
from training.sources.reading import BadRows, HubPart, plain_fields, read_source, text_field

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
    """Other columns of its row that were asked for, and ``part``, as ``PARTS`` has it, where the row has one."""
    place: str = field(default="", compare=False)

    @property
    def text(self) -> str:
        """The query."""
        return self.question

    @property
    def relevant(self) -> tuple[str, ...]:
        """What answers it."""
        return (self.answer,)

    @property
    def non_relevant(self) -> tuple[str, ...]:
        """Nothing is known to be wrong."""
        return ()


@dataclass
class Pairs:
    """What a source held: good pairs in order, a line for each row that was skipped, and questions without answers."""

    source: str
    pairs: list[Pair] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    unlabelled: list[str] = field(default_factory=list)


def read_pairs(
    source: str,
    *,
    question: str | None = None,
    answer: str | None = None,
    unlabelled: str | None = None,
    columns: Sequence[str] = (),
    hub_split: str = "train",
    hub_config: str | None = None,
    hub_revision: str | None = None,
    skip_bad: bool = False,
) -> Pairs:
    """Read question-answer pairs.

    Args:
        source: a JSONL, JSON, CSV, TSV or Parquet file, plain or ``.gz``, or the id of a Hub data set.
        question: the question's column; by default the first of ``QUESTION_COLUMNS`` that the row has, in any case.
        answer: the answer's column; likewise of ``ANSWER_COLUMNS``.
        unlabelled: another file or Hub data set, of questions that a relevance judge will find answers for.
        columns: other columns to keep, as text; a row that lacks one, or holds no plain value there, goes without.
        hub_split: split of a Hub data set.
        hub_config: configuration of a Hub data set.
        hub_revision: revision of a Hub data set.
        skip_bad: count bad rows instead of stopping at the first.

    Raises:
        SourceError: the source cannot be read, a row is bad, or no row is left. A row is bad, too, if it has no part
            where others have one.
    """

    def pair(place: str, fields: Mapping[str, Any]) -> Pair:
        return Pair(
            text_field(place, fields, question, QUESTION_COLUMNS, "question"),
            text_field(place, fields, answer, ANSWER_COLUMNS, "answer"),
            {**plain_fields(fields, columns), **part_field(place, fields)},
            place,
        )

    bad = BadRows(skip_bad)
    rows = read_source(source, pair, bad, HubPart(hub_split, hub_config, hub_revision))
    return Pairs(source, with_parts(rows, bad), bad.lines, _questions(unlabelled, question) if unlabelled else [])


def _questions(source: str, question: str | None) -> list[str]:
    """Questions alone; a column ``text`` holds them, too."""

    def text(place: str, fields: Mapping[str, Any]) -> str:
        return text_field(place, fields, question, (*QUESTION_COLUMNS, "text"), "question")

    return read_source(source, text, BadRows(skip=False), HubPart())
