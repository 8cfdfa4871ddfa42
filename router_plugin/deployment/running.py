"""Deploys to a Ray cluster, or to a Ray of this machine that is started for it, and takes the deployment back."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from typing import TYPE_CHECKING, NoReturn

from registry.cluster.connecting import LOCAL, connected, usable_cores
from registry.cluster.room import check_room, counted, say_if_waiting
from registry.shared.wording import first_line
from router_plugin.errors import ServerError
from router_plugin.server.running import check_guarded, listening

if TYPE_CHECKING:
    from types import FrameType

    from ray.serve.schema import DeploymentStatusOverview

    from router_plugin.deployment.deployed import Deployed

NAME = "domain-router"
"""Of the application on the cluster."""
LISTENS = 120.0
"""Seconds in which its machines must listen for requests."""
STARTS = 0.5
"""Seconds between two looks at replicas that start."""
LOOKS = 5.0
"""Seconds between two looks at a cluster on which the deployment runs."""

log = logging.getLogger(__name__)


def deploy(
    deployed: Deployed,
    address: str,
    ready: Callable[[str], None] = lambda _: None,
    heard: Callable[[str], None] = lambda _: None,
) -> None:
    """Deploy, and take the deployment back at SIGINT or SIGTERM, when requests in flight have been answered.

    Args:
        deployed: what is served.
        address: of a cluster's head, like ``10.0.0.1:6379``; ``auto`` for the one that this machine belongs to, or
            ``local``.
        ready: called with the URL when all replicas answer.
        heard: called with a line whenever more replicas run.

    Raises:
        ClusterError: the cluster does not answer, or has no room for the replicas.
        ServerError: the port or another address of the cluster is in use, or the replicas cannot start.
    """
    server, printed = deployed.server, sys.stdout
    check_guarded(server.host, server.keys)
    if address == LOCAL:
        listening(server.host, server.port).close()
    with connected(address, cores(deployed)), stopped_by_signal():
        from ray import serve

        with suppress(KeyboardInterrupt), running(deployed, heard):
            with redirect_stdout(printed):
                ready(f"http://{server.host}:{server.port}")
            while not threading.Event().wait(LOOKS):
                _check_running(serve.status().applications)


def cores(deployed: Deployed) -> int:
    """Of a cluster that is started for a deployment: what the replicas reserve at most, or this process may use."""
    return max(usable_cores(), deployed.ray.most_cores())


@contextmanager
def running(deployed: Deployed, heard: Callable[[str], None] = lambda _: None) -> Iterator[None]:
    """The deployment on the cluster that this process is connected to; taken back in the end.

    Args:
        deployed: what is served.
        heard: called with a line whenever more replicas run.

    Raises:
        ClusterError: the cluster has no room for the replicas.
        ServerError: Serve listens on another address already, or the replicas cannot start.
    """
    from ray import serve
    from ray.exceptions import RayError

    from router_plugin.deployment.application import application

    logging.getLogger("ray.serve").setLevel(logging.ERROR)
    there = serve.status().applications.keys()
    needs = deployed.ray.needs()
    check_room(needs, "lower `replicas`, `encoder_replicas`, `encoder_cpus` or `encoder_gpus`")
    if NAME not in there:
        say_if_waiting(needs)
    http = {"host": deployed.server.host, "port": deployed.server.port}
    try:
        try:
            serve.start(proxy_location="EveryNode", http_options=http)
            _check_address(deployed)
            target = serve.RunTarget(application(deployed), NAME, route_prefix="/")
            serve.run_many([target], wait_for_applications_running=False)
            _wait_for_replicas(heard)
        except (RuntimeError, RayError) as error:
            raise ServerError(f"the replicas cannot start: {_why(error)}") from error
        _wait_for_proxies()
        yield
    finally:
        if there - {NAME}:
            serve.delete(NAME)
        else:
            serve.shutdown()  # type: ignore[no-untyped-call]


def _check_address(deployed: Deployed) -> None:
    """Make sure that Serve, which has one address for all applications of a cluster, listens where it is asked to.

    Raises:
        ServerError: it does not.
    """
    from ray.serve.context import _get_global_client

    given = deployed.server.host, deployed.server.port
    client = _get_global_client()
    if client is not None and (client.http_config.host, client.http_config.port) != given:
        host, port = client.http_config.host, client.http_config.port
        raise ServerError(f"Ray Serve listens on {host}:{port} in this cluster already: give that as `host` and `port`")


def _wait_for_replicas(heard: Callable[[str], None]) -> None:
    """Wait until all replicas run, and say which do whenever that changes.

    Raises:
        RuntimeError: they cannot start.
        ServerError: somebody else took the deployment back.
    """
    from ray import serve

    said = ""
    while True:
        applications = serve.status().applications
        _check_running(applications)
        found = applications[NAME]
        line = ", ".join(_described(name, each) for name, each in sorted(found.deployments.items()))
        if line != said:
            heard(line)
            said = line
        if found.status == "RUNNING":
            return
        if found.status == "DEPLOY_FAILED":
            raise RuntimeError(found.message)
        time.sleep(STARTS)


def _described(name: str, found: DeploymentStatusOverview) -> str:
    """How far a deployment is, like ``encoders starting (1 of 2 replicas run)``."""
    state = {"UPDATING": "starting"}.get(found.status.value, found.status.value.lower().replace("_", " "))
    replicas = {str(each): count for each, count in found.replica_states.items()}
    return f"{name} {state} ({replicas.get('RUNNING', 0)} of {counted(sum(replicas.values()), 'replica')} run)"


def _wait_for_proxies() -> None:
    """Wait until all machines with replicas listen.

    Raises:
        ServerError: one does not.
    """
    from ray import serve

    end = time.monotonic() + LISTENS
    while any(each != "HEALTHY" for each in serve.status().proxies.values()):
        if time.monotonic() > end:
            raise ServerError("a machine of the cluster does not listen: its port may be in use, see Ray's log there")
        time.sleep(0.1)


def _why(error: Exception) -> str:
    """The last line of what failed in a replica, which Serve keeps with the state of the application."""
    from ray import serve

    state = serve.status().applications.get(NAME)
    said = [each.message for each in state.deployments.values() if each.message] if state else []
    lines = [line.strip() for line in "\n".join(said).splitlines() if "Error: " in line]
    return lines[-1].partition("Error: ")[2] if lines else first_line(error)


def _check_running(applications: Collection[str]) -> None:
    if NAME not in applications:
        raise ServerError("the deployment was taken back by somebody else")


@contextmanager
def stopped_by_signal() -> Iterator[None]:
    """SIGTERM is like Ctrl-C, where Ray would end the process at once."""

    def stop(_: int, __: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
