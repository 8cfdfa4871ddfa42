"""Several processes that fine-tune one model, as torchrun starts them: the first does all else, the others help."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from training.mining.examples import Examples

T = TypeVar("T")

_PATIENCE = timedelta(days=7)
"""How long one process waits for another: mining takes the first as long as it takes."""


@dataclass(frozen=True)
class Work:
    """One fine-tuning, as every process needs to know it.

    Attributes:
        weights: folder of the model that it starts from.
        examples: what is learnt.
        seed: of everything random in it.
        adapter_seed: of an adapter's first weights.
        scratch: a folder for what nobody needs afterwards.
        name: for the progress bar and errors.
    """

    weights: Path
    examples: Examples
    seed: int
    adapter_seed: int
    scratch: Path
    name: str


def count() -> int:
    """How many processes there are."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "TORCHELASTIC_RUN_ID" in os.environ else 1


def leads() -> bool:
    """Whether this is the first process."""
    return count() == 1 or os.environ.get("RANK") == "0"


def tell(what: T) -> T:
    """Hand something to the processes that wait for it: work, or at last the result; returns it."""
    if count() > 1:
        from torch import distributed

        _meet()
        distributed.broadcast_object_list([what], src=0)
    return what


def wait() -> Any:
    """What the first process tells next."""
    from torch import distributed

    _meet()
    told: list[Any] = [None]
    distributed.broadcast_object_list(told, src=0)
    return told[0]


def _meet() -> None:
    import torch
    from torch import distributed

    if not distributed.is_initialized():
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        distributed.init_process_group(backend, timeout=_PATIENCE)
