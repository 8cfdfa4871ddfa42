"""What was counted in a span of time, as pages show it. All functions read the file, so call them in threads."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal, NamedTuple

from registry import GENERAL
from router_plugin.decision import NO_ROUTE
from router_plugin.server.traffic.recorder import seconds_of
from router_plugin.server.traffic.traffic_file import DAY, HOUR, MINUTE, TrafficFile

By = Literal["domain", "route"]

REFUSALS = (401, 403, 413, 422, 429, 503, 504)
"""Statuses that are shown by themselves; others of 500 and above are together."""

OTHER_FAULTS = "5xx"


@dataclass(frozen=True)
class Series:
    """Counts over time.

    Attributes:
        times: at which the steps start, in seconds since 1970 UTC.
        step_s: seconds of a step.
        rows: of each name the number in every step; the largest first.
        confidence: of each name the mean confidence of its decisions in every step, None where there were none. Empty
            where it is not decisions that are counted.
        others: the number in every step of all names that have no row.
    """

    times: list[int]
    step_s: int
    rows: dict[str, list[int]]
    confidence: dict[str, list[float | None]]
    others: list[int]


class Latency(NamedTuple):
    """Times of requests or stages.

    Attributes:
        number: of them.
        p50: seconds that half of them took at most, within 10 %, as are the others.
        p90: the same for nine of ten.
        p95: the same for 95 of 100.
        p99: the same for 99 of 100.
    """

    number: int
    p50: float
    p90: float
    p95: float
    p99: float


def series(file: TrafficFile, since: float, until: float, step_s: int, by: By, most: int = 8) -> Series:
    """Decisions over time, by what they have in a column; decisions without a route have the route ``none``.

    Args:
        file: of the counts.
        since: seconds since 1970.
        until: the end, which is not included.
        step_s: seconds of a step. It becomes a multiple of a minute, and of an hour where the span begins earlier than
            a day ago, as older counts are by hour.
        by: the column.
        most: rows; the names with the largest numbers have them.

    Raises:
        ServerError: the file cannot be read.
    """
    column = {"domain": "domain", "route": f"CASE route WHEN '' THEN '{NO_ROUTE}' ELSE route END"}
    steps = _Steps.of(since, until, step_s)
    with file.open() as database:
        found = database.execute(
            f"SELECT minute, {column[by]}, SUM(number), SUM(confidence) FROM decisions"
            " WHERE minute >= ? AND minute < ? GROUP BY 1, 2",
            steps.span,
        )
        return steps.series(found, most, with_confidence=True)


def refusals(file: TrafficFile, since: float, until: float, step_s: int) -> Series:
    """Requests over time that were refused or failed, by status: those of ``REFUSALS``, and ``5xx``.

    See :func:`series` for the arguments and the error.
    """
    marks = ", ".join(map(str, REFUSALS))
    steps = _Steps.of(since, until, step_s)
    with file.open() as database:
        found = database.execute(
            f"SELECT minute, CASE WHEN status IN ({marks}) THEN CAST(status AS TEXT) ELSE '{OTHER_FAULTS}' END,"
            f" SUM(number), 0 FROM requests WHERE minute >= ? AND minute < ? AND (status IN ({marks}) OR status >= 500)"
            " GROUP BY 1, 2",
            steps.span,
        )
        return steps.series(found, len(REFUSALS) + 1, with_confidence=False)


class Claimed(NamedTuple):
    """Decisions, and those about queries that no domain claims.

    Attributes:
        decisions: number of all.
        unclaimed: how many of them are by the base model, without a route.
    """

    decisions: int
    unclaimed: int


def claimed(file: TrafficFile, since: float, until: float) -> Claimed:
    """How many queries no domain claims. See :func:`latency` for the arguments and the error."""
    none = f"domain = '{GENERAL}' AND route = ''"
    with file.open() as database:
        every, unclaimed = database.execute(
            f"SELECT COALESCE(SUM(number), 0), COALESCE(SUM(CASE WHEN {none} THEN number END), 0) FROM decisions"
            " WHERE minute >= ? AND minute < ?",
            _Steps.of(since, until, MINUTE).span,
        ).fetchone()
        return Claimed(int(every), int(unclaimed))


def latency(file: TrafficFile, since: float, until: float) -> dict[str, Latency]:
    """Times of requests by the template of their path, the most frequent first.

    Requests that were refused (statuses from 400 to 499) are left out, as they take no time.

    Args:
        file: of the counts.
        since: seconds since 1970. Counts older than a day are by hour: the hours count that begin in the span.
        until: the end, which is not included.

    Raises:
        ServerError: the file cannot be read.
    """
    return _latency(file, "path", "requests WHERE status NOT BETWEEN 400 AND 499 AND", since, until)


def stage_latency(file: TrafficFile, since: float, until: float) -> dict[str, Latency]:
    """Times of the stages of decisions by stage. See :func:`latency`."""
    return _latency(file, "stage", "stages WHERE", since, until)


def _latency(file: TrafficFile, name: str, rows: str, since: float, until: float) -> dict[str, Latency]:
    buckets: defaultdict[str, dict[int, int]] = defaultdict(dict)
    with file.open() as database:
        for each, bucket, number in database.execute(
            f"SELECT {name}, bucket, SUM(number) FROM {rows} minute >= ? AND minute < ? GROUP BY 1, 2 ORDER BY 1, 2",
            _Steps.of(since, until, MINUTE).span,
        ):
            buckets[each][bucket] = int(number)
    found = {each: Latency(sum(known.values()), *_percentiles(known)) for each, known in buckets.items()}
    return dict(sorted(found.items(), key=lambda item: -item[1].number))


def _percentiles(buckets: dict[int, int]) -> list[float]:
    """The 50th, 90th, 95th and 99th of times that are counted by bucket, in the order of the buckets."""
    upto = list(accumulate(buckets.values()))
    places = [bisect_left(upto, upto[-1] * percent / 100) for percent in (50, 90, 95, 99)]
    return [seconds_of(list(buckets)[place]) for place in places]


class _Steps(NamedTuple):
    """Steps of time, from the one in which a span begins on."""

    start: int
    step: int
    number: int

    @classmethod
    def of(cls, since: float, until: float, step_s: int) -> _Steps:
        unit = HOUR if since < time.time() - DAY else MINUTE
        step = max(unit, -(-int(step_s) // unit) * unit)
        start = int(since // step * step)
        return cls(start, step, max(0, -int((start - until) // step)))

    @property
    def span(self) -> tuple[int, int]:
        """The first second, and that after the last."""
        return self.start, self.start + self.number * self.step

    def series(self, found: Iterable[tuple[int, str, int, float]], most: int, *, with_confidence: bool) -> Series:
        """Of minutes, names, numbers and sums of confidence."""
        numbers: Counter[tuple[str, int]] = Counter()
        confidences: defaultdict[tuple[str, int], float] = defaultdict(float)
        totals: Counter[str] = Counter()
        for minute, name, number, confidence in found:
            at = name, (minute - self.start) // self.step
            numbers[at] += int(number)
            confidences[at] += confidence
            totals[name] += int(number)
        shown = [name for name, _ in totals.most_common(most)]
        steps = range(self.number)
        rows = {name: [numbers[name, at] for at in steps] for name in shown}
        means = {
            name: [confidences[name, at] / numbers[name, at] if numbers[name, at] else None for at in steps]
            for name in (shown if with_confidence else ())
        }
        every = [sum(numbers[name, at] for name in totals) for at in steps]
        others = [whole - sum(row[at] for row in rows.values()) for at, whole in enumerate(every)]
        return Series([self.start + at * self.step for at in steps], self.step, rows, means, others)
