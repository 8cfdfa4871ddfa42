"""Several processes that fine-tune one model, started by torchrun: the first does everything else, the others help."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from training.errors import TrainingError

if TYPE_CHECKING:
    from accelerate import PartialState

T = TypeVar("T")

_TIMEOUT = timedelta(days=7)
"""How long a process waits for another: the others wait while the first one mines."""


def count() -> int:
    """The number of processes that torchrun started; 1 without it, whatever a scheduler sets in the environment.

    Raises:
        TrainingError: the environment names no number.
    """
    if not os.environ.get("TORCHELASTIC_RUN_ID"):
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


def _broadcast(values: list[Any]) -> None:
    from accelerate.utils import broadcast_object_list

    _state()  # the Trainer resets accelerate's state, but not the process group
    broadcast_object_list(values, from_process=0)


def _state() -> PartialState:
    """Accelerate's state of the processes, which form a group when it is first asked for."""
    import torch
    from accelerate import PartialState

    if torch.cuda.is_available():  # objects are sent by gloo: a process that waits in NCCL keeps its GPU busy
        return PartialState(backend="cpu:gloo,cuda:nccl", timeout=_TIMEOUT)
    return PartialState(cpu=True, timeout=_TIMEOUT)
