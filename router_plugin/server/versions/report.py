"""What a log of a shadow says: how often champion and candidate differ, and where."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pydantic

from registry.shared.wording import first_fault
from router_plugin.decision import Decision
from router_plugin.errors import ServerError

EXAMPLES = 3
"""Queries that are shown of each difference."""


class Side(pydantic.BaseModel):
    """A decision in the log."""

    version: str
    domain: str
    route: str | None
    confidence: float

    @classmethod
    def of(cls, decision: Decision) -> Side:
        """What the log holds of a decision."""
        return cls(
            version=decision.model_version,
            domain=decision.domain,
            route=decision.route,
            confidence=round(decision.confidence, 4),
        )


class Row(pydantic.BaseModel):
    """A line of the log: a query that both decided."""

    time: str
    query: str
    candidate_of: str
    candidate_version: str
    champion: Side
    candidate: Side


@dataclass(frozen=True)
class Example:
    """A query, and the confidence of both in their routes."""

    query: str
    champion: float
    candidate: float


@dataclass(frozen=True)
class Difference:
    """Queries that the champion sends to one route, and the candidate to another."""

    champion: str | None
    candidate: str | None
    queries: int
    examples: tuple[Example, ...]


@dataclass(frozen=True)
class CanaryReport:
    """What a candidate would change.

    Attributes:
        candidate: its version.
        queries: that both decided.
        same: of these, the fraction that got the same route.
        confidence: mean of the champion's and the candidate's.
        differences: the most frequent first.
    """

    candidate: str
    queries: int
    same: float
    confidence: tuple[float, float]
    differences: tuple[Difference, ...]

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON can hold it."""
        return asdict(self)


def read_report(path: Path, most_bytes: int | None = None) -> list[CanaryReport]:
    """Read a log that ``--shadow-log`` wrote: a report for each candidate in it.

    Args:
        path: of the log.
        most_bytes: that are read, from its end; None for all of it.

    Raises:
        ServerError: the file cannot be read, has another line in it, or none.
    """
    by_version: dict[str, list[Row]] = defaultdict(list)
    try:
        for place, line in _lines(path, most_bytes):
            row = _row(place, line)
            by_version[row.candidate_version].append(row)
    except OSError as error:
        raise ServerError(f"{path}: cannot be read: {error.strerror}") from error
    if not by_version:
        raise ServerError(f"{path}: no query was decided yet")
    return [_report(version, rows) for version, rows in by_version.items()]


def _lines(path: Path, most_bytes: int | None) -> Iterator[tuple[str, bytes]]:
    """The lines of a file, or those that are whole in its last bytes, each with its place."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        skipped = 0 if most_bytes is None else max(0, size - most_bytes)
        file.seek(max(0, skipped - 1))
        if skipped:
            file.readline()
        where = f"{path}, from byte {file.tell()} on, line " if skipped else f"{path}:"
        for number, line in enumerate(file, 1):
            yield f"{where}{number}", line


def _row(place: str, line: bytes) -> Row:
    try:
        return Row.model_validate_json(line)
    except pydantic.ValidationError as error:
        raise ServerError(f"{place}: is not what 'serve --shadow-log' writes: {first_fault(error, 'line')}") from error


def _report(version: str, rows: Sequence[Row]) -> CanaryReport:
    different = [row for row in rows if row.champion.route != row.candidate.route]
    pairs = Counter((row.champion.route, row.candidate.route) for row in different)
    examples: Mapping[tuple[str | None, str | None], dict[str, Example]] = defaultdict(dict)
    for row in different:
        example = Example(row.query, row.champion.confidence, row.candidate.confidence)
        examples[row.champion.route, row.candidate.route].setdefault(row.query, example)
    sides = ([row.champion for row in rows], [row.candidate for row in rows])
    mean = tuple(round(sum(each.confidence for each in side) / len(rows), 4) for side in sides)
    return CanaryReport(
        candidate=version,
        queries=len(rows),
        same=round(1 - len(different) / len(rows), 4),
        confidence=(mean[0], mean[1]),
        differences=tuple(
            Difference(*pair, count, tuple(examples[pair].values())[:EXAMPLES]) for pair, count in pairs.most_common()
        ),
    )
