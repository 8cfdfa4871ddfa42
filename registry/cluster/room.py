"""Whether a Ray cluster has room for some work: what it never has is refused, and a wait for it is said."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from registry.errors import ClusterError

WAIT = 5.0
"""Seconds that work may wait for room before that is said."""
_LOOK = 0.2
"""Seconds between two looks at what is free."""
_ROUNDING = 1e-6
"""Of parts of a core or GPU, which Ray counts in ten thousandths."""
_NODE_GROUP = "ray.io/node-group"
"""The label of machines that an autoscaler or an operator of Kubernetes started."""

_WORDS = {"CPU": "core", "GPU": "GPU"}

Resources = Mapping[str, float]
"""Cores as ``CPU`` and GPUs as ``GPU``, as Ray counts them."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Need:
    """What some processes take of a cluster, each of them on one machine.

    Attributes:
        what: they are, like ``2 workers``.
        count: of processes.
        cores: of each.
        gpus: of each.
    """

    what: str
    count: int = 1
    cores: float = 1
    gpus: float = 0

    @property
    def each(self) -> dict[str, float]:
        """What one process takes."""
        return {kind: amount for kind, amount in (("CPU", self.cores), ("GPU", self.gpus)) if amount}


def check_room(needs: Sequence[Need], remedy: str) -> bool:
    """Make sure that a cluster can ever hold what some work needs at the same time.

    Args:
        needs: of the work.
        remedy: what the user can do, like ``lower `ray_workers` ``.

    Returns:
        Whether its machines can. If they cannot, machines that its autoscaler adds may.

    Raises:
        ClusterError: they cannot, and none is added.
    """
    import ray

    machines = [each for each in ray.nodes() if each["Alive"]]  # type: ignore[no-untyped-call]
    if _hold([each["Resources"] for each in machines], needs):
        return True
    if any(_NODE_GROUP in each.get("Labels", {}) for each in machines):
        return False
    has = _sum(each["Resources"] for each in machines)
    raise ClusterError(
        f"the cluster has no room for {_named(needs)}: {_amount(_wanted(needs), needs)} needed, "
        f"{_amount(has, needs)} on {counted(len(machines), 'machine')}: {remedy}, or add machines"
    )


def say_if_waiting(*works: Sequence[Need]) -> None:
    """Wait some seconds until the first of several works can begin; if none can, say what the first one waits for.

    Called before the work is handed to Ray, which waits on in silence.
    """
    end = time.monotonic() + WAIT
    while not any(_hold([_free()], needs) for needs in works):
        if time.monotonic() > end:
            say_wait(works[0])
            return
        time.sleep(_LOOK)


def say_wait(needs: Sequence[Need]) -> None:
    """Say in a line that work waits, for what, and what is free."""
    import ray

    has: Resources = ray.cluster_resources()  # type: ignore[no-untyped-call]
    log.warning(
        "waiting until the cluster has room for %s: %s needed, %s free of %s",
        _named(needs),
        _amount(_wanted(needs), needs),
        _amount(_free(), needs),
        _amount(has, needs),
    )


def _free() -> Resources:
    import ray

    found: dict[str, float] = ray.available_resources()  # type: ignore[no-untyped-call]
    return found


def _hold(machines: Sequence[Resources], needs: Sequence[Need]) -> bool:
    """Whether machines hold each need by itself, and together what all of them need in all."""
    together = _sum(machines)
    if any(together.get(kind, 0) < amount - _ROUNDING for kind, amount in _wanted(needs).items()):
        return False
    return all(sum(_fitting(machine, need) for machine in machines) >= need.count for need in needs)


def _fitting(machine: Resources, need: Need) -> int:
    """How many processes fit on a machine."""
    times = (int(machine.get(kind, 0) / amount + _ROUNDING) for kind, amount in need.each.items())
    return min(times, default=need.count)


def _wanted(needs: Iterable[Need]) -> dict[str, float]:
    return _sum({kind: need.count * amount for kind, amount in need.each.items()} for need in needs)


def _sum(several: Iterable[Resources]) -> dict[str, float]:
    total: dict[str, float] = {}
    for resources in several:
        for kind, amount in resources.items():
            total[kind] = total.get(kind, 0) + amount
    return total


def _named(needs: Iterable[Need]) -> str:
    return " and ".join(need.what for need in needs)


def _amount(resources: Resources, needs: Iterable[Need]) -> str:
    """Of the kinds of resources that are needed, how much there is, like ``2 cores and 1 GPU``."""
    wanted = _wanted(needs)
    return " and ".join(counted(resources.get(kind, 0), word) for kind, word in _WORDS.items() if kind in wanted)


def counted(amount: float, word: str) -> str:
    """A number and a word in the right form, like ``2 workers``."""
    return f"{amount:g} {word}{'' if amount == 1 else 's'}"
