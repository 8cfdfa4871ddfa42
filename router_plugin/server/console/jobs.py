"""What takes longer than a page may: worked on in a thread, one at a time, and kept for a while when it is done."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

from registry import DomainRouterError
from registry.progress import Progress
from router_plugin.server.errors import OverloadedError

log = logging.getLogger(__name__)

KEPT = 4
"""Results that are kept, the latest used."""
KEPT_S = 3600
"""Seconds for which a result is kept."""
MOST_AT_ONCE = 4
"""Jobs that have not ended."""
RETRY_S = 10
"""Seconds after which a job that failed is tried again."""

Work = Callable[[Progress], Any]
"""Makes a result, and says meanwhile what fraction of the work is done."""


@dataclass
class Job:
    """Work on something.

    Attributes:
        done: the fraction of it that is done.
        waiting: whether another job is before it.
        result: None as long as there is none.
        finished: when it ended, in seconds since 1970; 0 as long as it has not.
        fault: why there is no result; empty where there is, or may come.
        before: the result of the job that it replaces, until it ends.
    """

    work: Work = field(repr=False)
    done: float = 0.0
    waiting: bool = True
    result: Any = None
    finished: float = 0.0
    fault: str = ""
    before: Any = None

    @property
    def age(self) -> float:
        """Seconds since it ended."""
        return time.time() - self.finished


class Jobs:
    """The jobs of a console. Safe to use from several threads."""

    def __init__(self) -> None:
        self._jobs: OrderedDict[Hashable, Job] = OrderedDict()
        self._lock, self._working = threading.Lock(), threading.Lock()

    def find(self, key: Hashable) -> Job | None:
        """The job with a key, if it has been started and its result is not too old."""
        with self._lock:
            self._forget_old()
            if key in self._jobs:
                self._jobs.move_to_end(key)
            return self._jobs.get(key)

    def start(self, key: Hashable, work: Work, again: bool = False) -> Job:
        """The job with a key, which is started if there is none.

        Args:
            key: of what is made.
            work: makes it.
            again: whether one that has ended is replaced.

        Raises:
            OverloadedError: too many wait.
        """
        with self._lock:
            self._forget_old()
            job = self._jobs.get(key)
            if job and job.fault and job.age > RETRY_S:
                job = None
            if job is None or (again and job.finished):
                if sum(not each.finished for each in self._jobs.values()) >= MOST_AT_ONCE:
                    raise OverloadedError(60)
                job = self._jobs[key] = Job(work, before=job.result if job else None)
                threading.Thread(target=self._run, args=(job,), name="console job", daemon=True).start()
            self._jobs.move_to_end(key)
            return job

    def forget(self) -> None:
        """Drop all results, as what they were made of was deleted. What is being made is dropped when it is done."""
        with self._lock:
            self._jobs.clear()

    def _run(self, job: Job) -> None:
        def progress(done: float) -> None:
            job.done = done

        with self._working:
            job.waiting = False
            try:
                job.result = job.work(progress)
            except DomainRouterError as error:
                job.fault = str(error)
            except Exception as error:
                log.error("a job of the console failed", exc_info=error)
                job.fault = "this failed: the server's log says why"
            job.done, job.before, job.finished = 1.0, None, time.time()

    def _forget_old(self) -> None:
        for key in [key for key, job in self._jobs.items() if job.finished and job.age > KEPT_S]:
            del self._jobs[key]
        ended = [key for key, job in self._jobs.items() if job.finished]
        for key in ended[: max(0, len(self._jobs) - KEPT)]:
            del self._jobs[key]
