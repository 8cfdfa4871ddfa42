"""Work on shards by Ray Data: a pool of actors, one a core or GPU, of which lost ones are replaced."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from registry import DomainRouterError
from registry.cluster.room import Need, check_room, counted, say_if_waiting
from training.errors import CorpusError

T = TypeVar("T")
R = TypeVar("R")

RETRIES = 10
"""Workers that a thing may lose, before it is taken for the cause."""


class RayCluster:
    """The cluster that this process is connected to."""

    def __init__(self, workers: int | None = None, device: str | None = None) -> None:
        """
        Args:
            workers: actors; by default as many as the cluster has GPUs, or cores if it has none.
            device: of torch; by default a GPU if the cluster has any.

        Raises:
            ClusterError: the cluster has no room for them.
        """
        import ray

        found: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        on_gpu = found.get("GPU", 0) >= 1 if device is None else device.startswith("cuda")
        self._one = Need("a worker", cores=0 if on_gpu else 1, gpus=1 if on_gpu else 0)
        needed = replace(self._one, what=counted(workers, "worker"), count=workers) if workers else self._one
        check_room([needed], "lower `workers`" if workers else "choose another `device`")
        self._workers = workers or max(int(found.get("GPU" if on_gpu else "CPU", 0)), 1)
        self._device = "cuda" if on_gpu else device or "cpu"

    def map(self, make: Callable[[str | None], Callable[[T], R]], items: Sequence[T], what: str) -> Iterator[R]:
        """See :meth:`training.cluster.engines.Engine.map`.

        A block of the data set is one thing, and an actor has one at a time: a lost actor loses no more than that. A
        thing that has cost too many actors is left out, so that the others are done; then it is reported.
        """
        if not items:
            return
        import ray

        say_if_waiting([self._one])
        rows = [{"number": number} for number in range(len(items))]
        things = ray.data.from_items(rows, override_num_blocks=len(rows))
        _configure(things.context)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # that there is no other way to bound retries yet
            results = things.map_batches(
                _Worker,
                fn_constructor_args=(make, list(items), self._device),
                batch_size=1,
                compute=ray.data.ActorPoolStrategy(size=min(self._workers, len(rows)), max_tasks_in_flight_per_actor=1),
                num_cpus=0 if self._device == "cuda" else 1,
                num_gpus=1 if self._device == "cuda" else 0,
                max_task_retries=RETRIES,
            )
        left = dict(enumerate(items))
        for row in results.iter_rows():
            if isinstance(row["result"], DomainRouterError):
                raise row["result"]
            left.pop(row["number"])
            yield row["result"]
        if left:
            first = next(iter(left.values()))
            raise CorpusError(f"{what}: {len(left)} of {len(rows)} failed {RETRIES + 1} times, the first is {first}")


class _Worker:
    """An actor: makes its function when the first thing comes, so that a fault has a place to be reported."""

    def __init__(self, make: Callable[[str | None], Callable[[T], R]], items: Sequence[T], device: str) -> None:
        if device == "cpu":
            _use_one_thread()
        self._make, self._items, self._device = make, items, device
        self._work: Callable[[Any], Any] | None = None

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        import numpy as np

        result = np.empty(1, dtype=object)
        try:
            self._work = self._work or self._make(self._device)
            result[0] = self._work(self._items[int(batch["number"][0])])
        except DomainRouterError as error:
            result[0] = error
        return {"number": batch["number"], "result": result}


def _use_one_thread() -> None:
    """Let torch use one core, without importing it where the work does not: that takes seconds."""
    os.environ["OMP_NUM_THREADS"] = "1"
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)


def _configure(context: Any) -> None:
    """Results in order, slow things their time, no thing that ends the others; progress is shown by bars of ours."""
    context.execution_options.preserve_order = True
    context.execution_no_progress_timeout_s = -1
    context.max_errored_blocks = -1
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
