"""A Ray cluster, started on this machine or joined, for as long as a block runs."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

from registry.shared.wording import first_line
from training.errors import TrainingError

LOCAL = "local"
"""In place of an address: a cluster of this machine, which ends with the block."""
OBJECT_STORE = 512 << 20
"""Bytes of shared memory of a cluster that is started here: what passes through it is small."""


@contextmanager
def connected(address: str, cores: int | None = None) -> Iterator[None]:
    """Join a cluster, or start one; a connection that this process has is used, and stays.

    Ray prints what it says of workers to the standard output. In the block, that is the one for errors.

    Args:
        address: ``local``, or as Ray names a cluster: ``HOST:PORT``, ``ray://HOST:PORT``, ``auto``.
        cores: of a cluster that is started; by default those that this process may use.

    Raises:
        TrainingError: Ray is not installed, or the cluster cannot be reached.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would report to Ray's makers
    try:
        import ray
    except ImportError as error:
        raise TrainingError(f"`ray` needs Ray ({first_line(error)}): pip install 'domain-router[ray]'") from error
    if ray.is_initialized():
        with redirect_stdout(sys.stderr):
            yield
        return
    logging.getLogger("ray").setLevel(logging.ERROR)
    try:
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **(_own(cores) if address == LOCAL else {}))
    except Exception as error:  # as Ray itself raises where a node does not start
        raise TrainingError(f"`ray` {address}: no cluster can be reached there: {first_line(error)}") from error
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        ray.shutdown()


def _own(cores: int | None) -> dict[str, Any]:
    """How a cluster is started: with the cores that this process may use, where Ray would take all."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"num_cpus": cores or usable, "object_store_memory": OBJECT_STORE, "include_dashboard": False}
