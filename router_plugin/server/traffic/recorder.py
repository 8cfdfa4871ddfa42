"""Counts what a process decides and answers, in memory, and adds that to the file of all processes once a second."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from router_plugin.decision import Decision
from router_plugin.server.traffic.traffic_file import (
    DECISIONS,
    HOUR,
    MINUTE,
    REQUESTS,
    STAGES,
    Key,
    Table,
    TrafficFile,
)

CHARACTERS = 2000
"""Of a query that are kept at most."""

PENDING = 20_000
"""Queries, and different counts of each table, that wait for the file at most."""

FASTEST, SLOWEST, GROWTH = 1e-4, 60.0, 1.2
"""Seconds of the first and last bucket of times, and by what factor each is longer than the one before. The geometric
middle of a bucket is within sqrt(1.2) - 1 = 9.6 % of every time in it."""
_STEP = math.log(GROWTH)

log = logging.getLogger(__name__)

Sums = dict[Key, list[float]]


def bucket_of(seconds: float) -> int:
    """The bucket of a time; those out of range are in the first or last."""
    return int(math.log(min(max(seconds, FASTEST), SLOWEST) / FASTEST) / _STEP)


def seconds_of(bucket: int) -> float:
    """The geometric middle of a bucket."""
    return FASTEST * math.exp((bucket + 0.5) * _STEP)


@dataclass
class Counts:
    """What was counted since the file was last written.

    Attributes:
        decisions: sums by the keys of their table, as of the other two.
        requests: see there.
        stages: see there.
        queries: to keep, the oldest first.
    """

    decisions: Sums = field(default_factory=dict)
    requests: Sums = field(default_factory=dict)
    stages: Sums = field(default_factory=dict)
    queries: deque[tuple[Any, ...]] = field(default_factory=lambda: deque(maxlen=PENDING))

    def __bool__(self) -> bool:
        """Whether there is anything."""
        return bool(self.decisions or self.requests)

    def sums(self) -> dict[Table, Sums]:
        """What is to be added to each table."""
        return {DECISIONS: self.decisions, REQUESTS: self.requests, STAGES: self.stages}

    def include(self, newer: Counts) -> int:
        """Add what was counted later; returns how many were dropped, the oldest, where too much waits."""
        lost = max(0, len(self.queries) + len(newer.queries) - PENDING)
        self.queries.extend(newer.queries)
        for known, found in zip(self.sums().values(), newer.sums().values(), strict=True):
            for key, numbers in found.items():
                known[key] = [a + b for a, b in zip(known[key], numbers, strict=True)] if key in known else numbers
            for key in list(islice(known, max(0, len(known) - PENDING))):
                lost += int(known.pop(key)[0])
        return lost


class Recorder:
    """Counts of this process. Used from one event loop, but for the file.

    Attributes:
        file: to which they are added.
        fault: why the file can at present not be written, or not be tidied; None where it can.
        lost: queries and counts that were dropped because that lasted too long.
    """

    def __init__(self, file: TrafficFile, keep_days: float = 0.0) -> None:
        """
        Args:
            file: to which counts are added.
            keep_days: days for which the texts of queries are kept; 0 for none.
        """
        self.file, self.lost = file, 0
        self._keep_days, self._counts = keep_days, Counts()
        self._faults: dict[str, str] = {}
        self._next_tidying = 0.0
        self._ending = asyncio.Event()
        self._following: asyncio.Task[None] | None = None

    @property
    def fault(self) -> str | None:
        """See the attributes."""
        return next(iter(self._faults.values()), None)

    def count_decision(self, decision: Decision, canary: str = "") -> None:
        """Count a decision and the time of its stages, and keep its query where that is asked.

        Args:
            decision: to count.
            canary: the candidate that decided, if one did.
        """
        now = time.time()
        minute, counts = int(now) // MINUTE * MINUTE, self._counts
        route, reason = decision.route or "", decision.reason or ""
        key = minute, decision.domain, decision.model_version, route, reason, canary
        try:
            known = counts.decisions[key]
            known[0] += 1
            known[1] += decision.confidence
        except KeyError:
            counts.decisions[key] = [1, decision.confidence]
        for stage, milliseconds in decision.timings_ms.items():
            _add_one(counts.stages, (minute, stage, bucket_of(milliseconds / 1000)))
        if self._keep_days:
            self._keep(now, decision, canary)

    def count_request(self, path: str, status: int, seconds: float) -> None:
        """Count a request.

        Args:
            path: template of its path.
            status: of its answer.
            seconds: that it took.
        """
        minute = int(time.time()) // MINUTE * MINUTE
        _add_one(self._counts.requests, (minute, path, status, bucket_of(seconds)))

    def start(self) -> None:
        """Write once a second from now on, until :meth:`close`."""
        self._following = asyncio.get_running_loop().create_task(self._follow())

    async def close(self) -> None:
        """Write what is left."""
        self._ending.set()
        if self._following:
            await self._following
        await self.flush()

    async def flush(self) -> None:
        """Write what was counted. Where that fails, it is counted still, and the log and :attr:`fault` say why."""
        taken, self._counts = self._counts, Counts()
        if taken and not await self._tried("counts cannot be written", self.file.add, taken.sums(), taken.queries):
            self.lost += taken.include(self._counts)
            self._counts = taken
        now = time.time()
        if now >= self._next_tidying:
            done = await self._tried("old counts and queries cannot be deleted", self.file.tidy, now, self._keep_days)
            self._next_tidying = now + (HOUR if done else MINUTE)

    async def _follow(self) -> None:
        while not self._ending.is_set():
            await self.flush()
            try:
                await asyncio.wait_for(self._ending.wait(), 1.0)
            except asyncio.TimeoutError:
                continue

    async def _tried(self, failure: str, work: Callable[..., None], *arguments: Any) -> bool:
        """Whether it was done; every kind of failure is logged once until it is."""
        try:
            await asyncio.to_thread(work, *arguments)
        except Exception as error:
            said = f"{failure}: {error}"
            if self._faults.get(failure) != said:
                log.error("%s", said, exc_info=error)
            self._faults[failure] = said
            return False
        self._faults.pop(failure, None)
        return True

    def _keep(self, now: float, decision: Decision, canary: str) -> None:
        text = decision.query[:CHARACTERS].encode(errors="replace").decode()  # JSON may have halves of characters
        queries = self._counts.queries
        self.lost += len(queries) == PENDING
        queries.append(
            (
                now,
                text,
                decision.domain,
                decision.route or "",
                decision.model_version,
                decision.confidence,
                decision.score,
                decision.reason or "",
                canary,
            )
        )


def _add_one(sums: Sums, key: Key) -> None:
    try:
        sums[key][0] += 1
    except KeyError:
        sums[key] = [1]
