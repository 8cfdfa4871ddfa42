"""Several processes that fine-tune one model, started by torchrun or Ray: the first does all else, the others help."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from training.errors import TrainingError

if TYPE_CHECKING:
    from accelerate import PartialState

T = TypeVar("T")

STARTED_BY_RAY = "DOMAIN_ROUTER_RAY_WORKER"
"""Set in the environment of a worker of Ray Train, which sets what else torchrun does."""
TIMEOUT = timedelta(days=7)
"""How long a process waits for another: the others wait while the first one mines."""


def count() -> int:
    """The number of processes that torchrun or Ray started; else 1, whatever a scheduler sets in the environment.

    Raises:
        TrainingError: the environment names no number.
    """
    if not (os.environ.get("TORCHELASTIC_RUN_ID") or os.environ.get(STARTED_BY_RAY)):
        return 1
    given = os.environ.get("WORLD_SIZE", "").strip() or "1"
    if not (given.isascii() and given.isdigit()):
        raise TrainingError(f"WORLD_SIZE {given}: expected a whole number, as torchrun sets it")
    return int(given)


def is_main_process() -> bool:
    """Whether this is the first process."""
    return count() == 1 or bool(_state().is_main_process)


def broadcast(value: T) -> T:
    """Send a value to the processes that wait in :func:`receive`; returns it. Only the first process may call this."""
    if count() > 1:
        _broadcast([value])
    return value


def receive() -> Any:
    """The next value that the first process broadcasts."""
    received: list[Any] = [None]
    _broadcast(received)
    return received[0]


def agree(value: T) -> T:
    """The first process's value. All processes call this at the same point."""
    if count() == 1:
        return value
    agreed: T = broadcast(value) if is_main_process() else receive()
    return agreed


def gather(value: T) -> list[T]:
    """The values of all processes, in their order. All processes call this at the same point."""
    if count() == 1:
        return [value]
    from accelerate.utils import gather_object

    _state()
    gathered: list[T] = gather_object([value])
    return gathered


def rank() -> int:
    """The number of this process among all, from 0."""
    return 0 if count() == 1 else int(_state().process_index)


def backend(gpus: bool) -> str:
    """What processes send by, as torch names it: objects by gloo, as a process that waits in NCCL keeps its GPU busy.

    Args:
        gpus: whether they train on GPUs.
    """
    return "cpu:gloo,cuda:nccl" if gpus else "gloo"


def _broadcast(values: list[Any]) -> None:
    from accelerate.utils import broadcast_object_list

    _state()  # the Trainer resets accelerate's state, but not the process group
    broadcast_object_list(values, from_process=0)


def _state() -> PartialState:
    """Accelerate's state of the processes, which form a group when it is first asked for."""
    import torch
    from accelerate import PartialState

    if torch.cuda.is_available():
        return PartialState(backend=backend(gpus=True), timeout=TIMEOUT)
    return PartialState(cpu=True, timeout=TIMEOUT)
