"""The states of all random generators of a process, as JSON can hold them."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch


def random_state(device: torch.device) -> dict[str, Any]:
    """The states of Python's, NumPy's and torch's generators, torch's on the CPU and on the device."""
    numpy: Any = np.random.get_state(legacy=False)
    return {
        "python": random.getstate(),
        "numpy": {**numpy, "state": {**numpy["state"], "key": numpy["state"]["key"].tolist()}},
        "cpu": torch.get_rng_state().tolist(),
        "device": None if device.type == "cpu" else torch.get_device_module(device).get_rng_state().tolist(),
    }


def restore_random_state(state: dict[str, Any], device: torch.device) -> None:
    """Put all generators back into a state that :func:`random_state` returned, perhaps through JSON."""
    version, python, gauss = state["python"]
    random.setstate((version, tuple(python), gauss))
    numpy = state["numpy"]
    np.random.set_state({**numpy, "state": {**numpy["state"], "key": np.array(numpy["state"]["key"], np.uint32)}})
    torch.set_rng_state(torch.tensor(state["cpu"], dtype=torch.uint8))
    if state["device"] is not None:
        torch.get_device_module(device).set_rng_state(torch.tensor(state["device"], dtype=torch.uint8))
