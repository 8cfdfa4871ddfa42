"""A Ray cluster, started on this machine or joined, for as long as a block runs."""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, redirect_stdout
from typing import Any

from registry.errors import ClusterError
from registry.shared.wording import first_line

LOCAL = "local"
"""In place of an address: a cluster of this machine, which ends with the block."""
OBJECT_STORE = 512 << 20
"""Bytes of shared memory of a cluster that is started here: what passes through it is small."""
ANSWERS = 10.0
"""Seconds in which an address must take a connection."""


@contextmanager
def connected(address: str, cores: int | None = None) -> Iterator[None]:
    """Join a cluster, or start one; a connection that this process has is used, and stays.

    Ray prints what it says of workers to the standard output. In the block, that is the one for errors.

    Args:
        address: ``local``, or as Ray names a cluster: ``HOST:PORT``, ``ray://HOST:PORT``, ``auto``.
        cores: of a cluster that is started; by default those that this process may use.

    Raises:
        ClusterError: Ray is not installed, or the cluster cannot be reached.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would report to Ray's makers
    try:
        import ray
    except ImportError as error:
        raise ClusterError(f"`ray` needs Ray ({first_line(error)}): pip install 'domain-router[ray]'") from error
    if ray.is_initialized():
        with redirect_stdout(sys.stderr):
            yield
        return
    logging.getLogger("ray").setLevel(logging.ERROR)
    if address != LOCAL:
        _check_answers(address)
    own = _own(cores or usable_cores()) if address == LOCAL else {}
    try:
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **own)
    except Exception as error:  # as Ray itself raises where a node does not start
        raise ClusterError(f"the Ray cluster {address} cannot be used: {first_line(error)}") from error
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        ray.shutdown()


def usable_cores() -> int:
    """Those that this process may use, where Ray would take all of the machine."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _own(cores: int) -> dict[str, Any]:
    """How a cluster is started."""
    return {"num_cpus": cores, "object_store_memory": OBJECT_STORE, "include_dashboard": False}


def _check_answers(address: str) -> None:
    """Make sure that something listens at an address: Ray itself takes minutes to say that nothing does.

    Raises:
        ClusterError: nothing does.
    """
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not port.isdigit():
        return
    try:
        with closing(socket.create_connection((host, int(port)), ANSWERS)):
            pass
    except OSError as error:
        raise ClusterError(f"the Ray cluster {address} does not answer: {error.strerror or error}") from error
