"""Where work on shards is done: one after another in this process, or on a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Engine(Protocol):
    """Does the same to many things."""

    def map(self, make: Callable[[str | None], Callable[[T], R]], items: Sequence[T], what: str) -> Iterator[R]:
        """The results in the order of the things, each as soon as it and those before it are done.

        Args:
            make: makes the function that is applied, once in each process, from the device that the process has; None
                for its own choice. It may be sent to other processes, and so may things and results.
            items: the things.
            what: is done to them, for errors.

        Raises:
            CorpusError: a thing cannot be worked on.
        """


class OneProcess:
    """This process, one after another."""

    def __init__(self, device: str | None = None) -> None:
        """
        Args:
            device: of torch; by default a GPU if available.
        """
        self._device = device

    def map(self, make: Callable[[str | None], Callable[[T], R]], items: Sequence[T], what: str) -> Iterator[R]:
        """See :meth:`Engine.map`."""
        yield from map(make(self._device), items)


@contextmanager
def open_engine(address: str | None, workers: int | None = None, device: str | None = None) -> Iterator[Engine]:
    """This process, or a cluster.

    Args:
        address: of the cluster; ``local`` starts one, and None is this process.
        workers: processes that work at a time; by default one a GPU, or one a core where there is none.
        device: of torch; by default a GPU if available.

    Raises:
        ClusterError: Ray is not installed, or the cluster cannot be reached or has no room for the workers.
    """
    if address is None:
        yield OneProcess(device)
        return
    from registry.cluster.connecting import connected
    from training.cluster.ray_cluster import RayCluster

    with connected(address, workers):
        yield RayCluster(workers, device)
