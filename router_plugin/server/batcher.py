"""Collects the texts of many requests into batches, which are answered in threads, interactive work before bulk."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from router_plugin.server.errors import OverloadedError

BULK = 8
"""Requests with more texts wait until those with fewer have been answered."""

BYTES_PER_TOKEN = 4
"""About as many bytes of UTF-8 make a token."""

LONGEST = 512
"""Tokens of a text that count: encoders read about as many."""


class Work(NamedTuple):
    """What is to be done with texts.

    Attributes:
        name: for the metrics.
        key: texts whose work has the same key share a batch.
        answer: called in a thread, with the texts of one batch; answers each of them.
    """

    name: str
    key: Hashable
    answer: Callable[[Sequence[str]], Sequence[Any]]


class _Item(NamedTuple):
    work: Work
    text: str
    tokens: int
    answer: asyncio.Future[Any]


class Batcher:
    """Batches what waits whenever a thread is free. Used from one event loop.

    There is no fixed delay: while all threads are busy, texts gather, and the next batch takes what has gathered. A
    request that is cancelled takes its texts out of the queue.

    Attributes:
        waiting: number of waiting texts, of cancelled requests too.
    """

    def __init__(
        self,
        threads: int,
        max_tokens: int,
        max_waiting: int,
        observe: Callable[[str, int, float], None] = lambda *_: None,
    ) -> None:
        """
        Args:
            threads: batches that are answered at the same time.
            max_tokens: of a batch of several texts, about.
            max_waiting: number of waiting texts from which no more are taken.
            observe: called after each batch with the name of its work, the number of its texts, and its seconds.
        """
        self.waiting = 0
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="batch")
        self._free, self._size = threads, threads
        self._max_tokens, self._max_waiting = max_tokens, max_waiting
        self._observe = observe
        self._queues: tuple[dict[Hashable, deque[_Item]], dict[Hashable, deque[_Item]]] = {}, {}
        self._scheduled = False
        self._texts_per_second = 100.0
        self._running: set[asyncio.Task[None]] = set()

    async def run(self, work: Work, texts: Sequence[str], bulk: bool = False) -> list[Any]:
        """The answers to texts.

        Args:
            work: what to do with them.
            texts: any number.
            bulk: let others go first, even if they are few.

        Raises:
            OverloadedError: too many texts are waiting.
        """
        self.admit()
        loop = asyncio.get_running_loop()
        items = [_Item(work, text, tokens_of(text), loop.create_future()) for text in texts]
        self._queues[bulk or len(texts) > BULK].setdefault(work.key, deque()).extend(items)
        self.waiting += len(items)
        self._schedule()
        return list(await asyncio.gather(*(item.answer for item in items)))

    def admit(self) -> None:
        """Make sure that more texts can be taken.

        Raises:
            OverloadedError: too many are waiting.
        """
        if self.waiting >= self._max_waiting:
            raise OverloadedError(self.seconds_behind())

    def seconds_behind(self) -> int:
        """In about how many seconds the waiting texts will be answered, at least 1."""
        return max(1, math.ceil(self.waiting / (self._texts_per_second * self._size)))

    def load(self) -> float:
        """The fraction of the queue that is taken."""
        return self.waiting / self._max_waiting

    def close(self) -> None:
        """Let the threads end, when they are done with their batches."""
        self._threads.shutdown(wait=False)

    def _schedule(self) -> None:
        """Start batches after the other requests that have arrived by now have been read."""
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._start)

    def _start(self) -> None:
        self._scheduled = False
        while self._free and (batch := self._take()):
            self._free -= 1
            task = asyncio.get_running_loop().create_task(self._answer(batch))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    def _take(self) -> list[_Item]:
        """The texts of the next batch, all of one kind of work; none if nothing waits."""
        batch: list[_Item] = []
        for queues in self._queues:
            while queues and not batch:
                key = next(iter(queues))
                self._fill(batch, queues, key)
        if batch:
            for queues in self._queues:
                if batch[0].work.key in queues:
                    self._fill(batch, queues, batch[0].work.key)
        return batch

    def _fill(self, batch: list[_Item], queues: dict[Hashable, deque[_Item]], key: Hashable) -> None:
        """Move texts from a queue to a batch, as many as fit; the queue goes behind the others."""
        queue, tokens = queues.pop(key), sum(item.tokens for item in batch)
        while queue:
            if not queue[0].answer.done():  # else the request was cancelled
                tokens += queue[0].tokens
                if batch and tokens > self._max_tokens:
                    break
                batch.append(queue[0])
            queue.popleft()
            self.waiting -= 1
        if queue:
            queues[key] = queue

    async def _answer(self, batch: list[_Item]) -> None:
        work, started = batch[0].work, time.perf_counter()
        texts = [item.text for item in batch]
        found = await asyncio.get_running_loop().run_in_executor(self._threads, _answers, work, texts)
        for item, answer in zip(batch, found, strict=True):
            if item.answer.done():
                continue
            if isinstance(answer, Exception):
                item.answer.set_exception(answer)
            else:
                item.answer.set_result(answer)
        seconds = time.perf_counter() - started
        self._texts_per_second += 0.1 * (len(batch) / max(seconds, 1e-6) - self._texts_per_second)
        self._observe(work.name, len(batch), seconds)
        self._free += 1
        self._schedule()


def _answers(work: Work, texts: Sequence[str]) -> Sequence[Any]:
    """An answer or an error for each text; one that fails does not spoil the others of its batch."""
    try:
        return work.answer(texts)
    except Exception as error:  # noqa: BLE001  raised in the request that asked
        return [error] if len(texts) == 1 else [_answers(work, [text])[0] for text in texts]


def tokens_of(text: str) -> int:
    """About how many tokens an encoder reads of a text."""
    return min(len(text.encode(errors="replace")) // BYTES_PER_TOKEN + 2, LONGEST)
