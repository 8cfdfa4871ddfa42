"""The encoders in memory: loaded at their first use, and dropped, the longest unused first, where memory is short."""

from __future__ import annotations

import os
import sys
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from router_plugin.contracts import Encoder
from router_plugin.errors import ClosedError, ForkedError


@dataclass
class _Place:
    load: Callable[[], Encoder]
    lock: threading.Lock = field(default_factory=threading.Lock)
    encoder: Encoder | None = None
    users: int = 0


class EncoderPool:
    """Encoders by domain. One that is in use is never dropped. Safe to use from several threads.

    Attributes:
        forked: whether this process was forked when an encoder was in memory, so that none can be used.
    """

    def __init__(
        self,
        loaders: Mapping[str, Callable[[], Encoder]],
        budget: int | None = None,
        previous: EncoderPool | None = None,
        kept: Collection[str] = (),
    ) -> None:
        """
        Args:
            loaders: what loads each domain's encoder.
            budget: bytes that the encoders may take, not counting those in use; None for no limit.
            previous: a pool with which this one shares encoders; both may be used.
            kept: the domains whose encoders they share.
        """
        known = previous._places if previous else {}
        self._places: OrderedDict[str, _Place] = OrderedDict(
            (domain, known[domain] if domain in kept else _Place(load)) for domain, load in loaders.items()
        )
        self._budget = budget
        self._closed = False
        self.forked = False
        self._waited = threading.local()
        _POOLS.add(self)
        self._lock: threading.Lock = previous._lock if previous else threading.Lock()

    @contextmanager
    def use(self, domain: str) -> Iterator[Encoder]:
        """The encoder of a domain, which stays in memory as long as the context is open.

        Raises:
            ClosedError: the pool is closed.
            ForkedError: an encoder was in memory when this process was forked.
        """
        if self.forked:
            raise ForkedError(
                "this process was forked when the router's models were in memory, whose threads are not in the fork: "
                "make a router in each process, after the fork, or start the processes with 'spawn'"
            )
        with self._lock:
            if self._closed:
                raise ClosedError("the encoders were closed: open the domains again")
            place = self._places[domain]
            place.users += 1
            self._places.move_to_end(domain)
        started = time.perf_counter()
        try:
            with place.lock:
                if place.encoder is None:
                    place.encoder = place.load()
                encoder = place.encoder
            self._drop()
            self._waited.seconds = self.waited + time.perf_counter() - started
            yield encoder
        finally:
            with self._lock:
                place.users -= 1
            self._drop()

    @property
    def waited(self) -> float:
        """Seconds that the present thread has waited for encoders until they were in memory."""
        return float(getattr(self._waited, "seconds", 0.0))

    @property
    def loaded(self) -> list[str]:
        """The domains whose encoders are in memory, the longest unused first."""
        with self._lock:
            return [domain for domain, place in self._places.items() if place.encoder is not None]

    def close(self) -> None:
        """Let go of the encoders. Those in use stay until they are not, and shared ones with the other pool."""
        with self._lock:
            self._closed = True
            self._places.clear()

    def after_fork(self) -> None:
        """In a forked process: encoders cannot be used, and locks may be held by threads that are not there."""
        self.forked = any(place.encoder is not None or place.users for place in self._places.values())
        self._lock = threading.Lock()
        for place in self._places.values():
            place.lock, place.users = threading.Lock(), 0

    def _drop(self) -> None:
        if self._budget is None:
            return
        with self._lock:
            taken = sum(place.encoder.nbytes for place in self._places.values() if place.encoder is not None)
            for place in self._places.values():
                if taken <= self._budget:
                    return
                if place.encoder is not None and place.encoder.nbytes and not place.users:
                    taken -= place.encoder.nbytes
                    place.encoder = None


_POOLS: weakref.WeakSet[EncoderPool] = weakref.WeakSet()


def _after_fork() -> None:
    """Let torch work in a process that was forked from one in which models ran: with several threads it would hang."""
    pools = list(_POOLS)
    for pool in pools:
        pool.after_fork()
    if any(pool.forked for pool in pools) and (torch := sys.modules.get("torch")):
        torch.set_num_threads(1)


os.register_at_fork(after_in_child=_after_fork)
