"""Lets a deployment on Ray Serve answer while its replicas, a whole node and its versions are disturbed.

    python benchmarks/ray_serving.py --seconds 60

A cluster of two nodes besides its head is started on this machine, so that a node can be killed; its processors are
those of this machine, --processors of them for each node. Ready-made domains are deployed, and clients ask for
embeddings, one request after another, each text new. `throughput` is measured with one and with two replicas of each
kind. Then, with two of each, under load for --seconds each time: a replica that encodes is killed, a replica that
answers, and a whole node; and a version is promoted. A request that is not answered with 200 is sent again, which
changes nothing; `lost` are those that are never answered, `retried` those that are in the end, `errors` the other
statuses. `p99_back_s` are the seconds from the disturbance until the slowest request in a hundred, second by second,
takes at most twice as long as before, and does so until the end. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("RAY_AUTH_MODE", "disabled")  # the cluster is of this machine, and ends with the benchmark
os.environ.setdefault("RAY_worker_niceness", "0")
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])

import httpx
import numpy as np
import ray
from ray.cluster_utils import Cluster
from ray.util import list_named_actors
from rich.console import Console
from rich.table import Table

from registry import Registry
from registry.cluster.connecting import connected
from router_plugin.deployment.deployed import Deployed
from router_plugin.deployment.options import RayOptions
from router_plugin.deployment.running import running
from router_plugin.server.options import ServerOptions
from training import publish

ROOT = Path(__file__).parents[1]
DOMAINS = ("medical", "finance")
PROMOTED = "medical"
PORT = 8796
TRIES, PAUSE = 60, 0.25
"""Of a request, and the seconds between two."""
CALM = 0.4
"""The part of a measurement after which the disturbance comes."""


class Request(NamedTuple):
    """A request: when it was sent first, how long it took in the end, and what came before the answer."""

    sent: float
    seconds: float
    version: str
    errors: tuple[str, ...]


class Load:
    """Clients that ask until they are stopped."""

    def __init__(self, url: str, clients: int) -> None:
        self.requests: list[Request] = []
        self._url, self._number, self._done = url, itertools.count(), threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> list[Request]:
        """All requests, when the last has been answered."""
        self._done.set()
        for thread in self._threads:
            thread.join()
        return self.requests

    def _ask(self) -> None:
        with httpx.Client(base_url=self._url, timeout=30) as client:
            while not self._done.is_set():
                self.requests.append(self._one(client, f"question {next(self._number)} about {time.time_ns()}"))

    def _one(self, client: httpx.Client, text: str) -> Request:
        sent, errors = time.monotonic(), []
        for _ in range(TRIES):
            try:
                answer = client.post("/v1/embeddings", json={"model": PROMOTED, "input": text})
                if answer.status_code == 200:
                    version = answer.json()["system_fingerprint"].partition("-")[0]
                    return Request(sent, time.monotonic() - sent, version, tuple(errors))
                errors.append(str(answer.status_code))
            except httpx.HTTPError as error:
                errors.append(type(error).__name__)
            time.sleep(PAUSE)
        return Request(sent, time.monotonic() - sent, "", tuple(errors))


def main() -> None:
    """Deploy, ask, disturb, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60, help="of load for each measurement")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--processors", type=int, default=4, help="that Ray may reserve on each node")
    parser.add_argument("--only", nargs="+", choices=("throughput", *DISTURBED), help="measurements; by default all")
    given = parser.parse_args()
    wanted = given.only or ("throughput", *DISTURBED)
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder, nodes(given.processors) as cluster:
        store = Registry.open(f"{folder}/registry")
        for domain in DOMAINS:
            publish(ROOT / "models" / domain, store, force=True)
        for number in (1, 2) if "throughput" in wanted else ():
            with deployment(cluster, folder, number) as url:
                found[f"{number} of each"] = throughput(url, given.clients, given.seconds)
        if set(wanted) & DISTURBED.keys():
            with deployment(cluster, folder, 2) as url:
                for name in wanted:
                    if name in DISTURBED:
                        disturb = DISTURBED[name]
                        found[name] = disturbed(url, given, lambda disturb=disturb: disturb(cluster, store, folder))
        store.close()
    show(found)


@contextmanager
def nodes(processors: int) -> Iterator[Cluster]:
    """A head without replicas, and two nodes."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        for _ in range(2):
            cluster.add_node(num_cpus=processors)
        cluster.wait_for_nodes()
        yield cluster
    finally:
        cluster.shutdown()


@contextmanager
def deployment(cluster: Cluster, folder: str, number: int) -> Iterator[str]:
    """The URL of a deployment of that number of replicas of each kind; the proxies of all nodes listen there."""
    deployed = Deployed(
        routes=[ROOT / "examples" / "routes.yaml"],
        registry=f"{folder}/registry",
        server=ServerOptions(port=PORT),
        ray=RayOptions(replicas=number, encoder_replicas=number),
    )
    with ExitStack() as stack:
        stack.enter_context(connected(cluster.address))
        stack.enter_context(running(deployed))
        yield f"http://127.0.0.1:{PORT}"


def throughput(url: str, clients: int, seconds: float) -> dict[str, Any]:
    """Requests in a second, and their times."""
    load, begun = Load(url, clients), time.monotonic()
    time.sleep(seconds)
    requests = load.stop()
    return {"requests_per_s": round(len(requests) / (time.monotonic() - begun), 1), **times(requests)}


def disturbed(url: str, given: argparse.Namespace, disturb: Callable[[], None]) -> dict[str, Any]:
    """What clients see of a disturbance."""
    load, begun = Load(url, given.clients), time.monotonic()
    time.sleep(CALM * given.seconds)
    moment = time.monotonic()
    disturb()
    time.sleep(max(0.0, begun + given.seconds - time.monotonic()))
    requests = load.stop()
    before = [each for each in requests if each.sent + each.seconds < moment]
    errors = [error for each in requests for error in each.errors]
    return {
        "requests": len(requests),
        "lost": sum(not each.version for each in requests),
        "retried": sum(bool(each.version and each.errors) for each in requests),
        "errors": {name: errors.count(name) for name in sorted(set(errors))},
        "versions": sorted({each.version for each in requests}),
        "p99_ms_before": times(before)["p99_ms"],
        "p99_back_s": back(requests, moment, times(before)["p99_ms"]),
    }


def times(requests: list[Request]) -> dict[str, float]:
    """The median and the slowest in a hundred, in milliseconds."""
    seconds = [each.seconds for each in requests] or [float("nan")]
    return {f"p{part}_ms": round(1000 * float(np.percentile(seconds, part)), 1) for part in (50, 99)}


def back(requests: list[Request], moment: float, before: float) -> float | None:
    """Seconds after a moment from which on requests take at most twice as long as before; None if they never do."""
    seconds: dict[int, list[Request]] = {}
    for each in requests:
        if (after := each.sent + each.seconds - moment) >= 0:
            seconds.setdefault(int(after), []).append(each)
    slow = [second for second, own in seconds.items() if times(own)["p99_ms"] > 2 * before]
    last = max(slow, default=-1) + 1
    return float(last) if any(second >= last for second in seconds) else None


def kill_replica(kind: str) -> None:
    """End the process of a replica of a kind."""
    names = [each for each in list_named_actors(all_namespaces=True) if f"#{kind}#" in each["name"]]
    ray.kill(ray.get_actor(names[0]["name"], namespace=names[0]["namespace"]))


def kill_node(cluster: Cluster, _: Registry, __: str) -> None:
    """End all processes of a node at once."""
    cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)


def promote(_: Cluster, store: Registry, folder: str) -> None:
    """Publish another version and promote it."""
    copy = shutil.copytree(ROOT / "models" / PROMOTED, Path(folder) / f"copy-{time.time_ns()}")
    (copy / "README.md").write_text(f"Promoted at {time.time_ns()}.", encoding="utf-8")
    store.promote(publish(copy, store, force=True).name)


DISTURBED: dict[str, Callable[[Cluster, Registry, str], None]] = {
    "promotion": promote,
    "encoder killed": lambda *_: kill_replica("encoders"),
    "server killed": lambda *_: kill_replica("server"),
    "node killed": kill_node,
}


def show(found: dict[str, Any]) -> None:
    """Print a table, and everything as JSON."""
    columns = list(dict.fromkeys(name for row in found.values() for name in row))
    table = Table("", *columns)
    for name, row in found.items():
        table.add_row(name, *(str(row.get(column, "")) for column in columns))
    Console().print(table)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
