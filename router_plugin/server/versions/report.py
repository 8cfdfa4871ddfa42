"""What a log of a shadow says: how often champion and candidate differ, and where."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
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
class Difference:
    """Queries that the champion sends to one route, and the candidate to another."""

    champion: str | None
    candidate: str | None
    queries: int
    examples: tuple[str, ...]


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


def read_report(path: Path) -> list[CanaryReport]:
    """Read a log that ``--shadow-log`` wrote: a report for each candidate in it.

    Raises:
        ServerError: the file cannot be read, has another line in it, or none.
    """
    by_version: dict[str, list[Row]] = defaultdict(list)
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                row = _row(f"{path}:{number}", line)
                by_version[row.candidate_version].append(row)
    except OSError as error:
        raise ServerError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ServerError(f"{path}: is not UTF-8 text") from error
    if not by_version:
        raise ServerError(f"{path}: no query was decided yet")
    return [_report(version, rows) for version, rows in by_version.items()]


def _row(place: str, line: str) -> Row:
    try:
        return Row.model_validate_json(line)
    except pydantic.ValidationError as error:
        raise ServerError(f"{place}: is not what 'serve --shadow-log' writes: {first_fault(error, 'line')}") from error


def _report(version: str, rows: Sequence[Row]) -> CanaryReport:
    different = [row for row in rows if row.champion.route != row.candidate.route]
    pairs = Counter((row.champion.route, row.candidate.route) for row in different)
    examples: Mapping[tuple[str | None, str | None], dict[str, None]] = defaultdict(dict)
    for row in different:
        examples[row.champion.route, row.candidate.route][row.query] = None
    sides = ([row.champion for row in rows], [row.candidate for row in rows])
    mean = tuple(round(sum(each.confidence for each in side) / len(rows), 4) for side in sides)
    return CanaryReport(
        candidate=version,
        queries=len(rows),
        same=round(1 - len(different) / len(rows), 4),
        confidence=(mean[0], mean[1]),
        differences=tuple(
            Difference(*pair, count, tuple(examples[pair])[:EXAMPLES]) for pair, count in pairs.most_common()
        ),
    )
