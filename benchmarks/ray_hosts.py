"""Encodes and trains on a Ray cluster of two hosts, cuts their link, and loses one of them: is the result the same?

    python benchmarks/ray_hosts.py

Hosts are network namespaces with addresses of their own, and a disk in common, as the commands need it. Needs Linux,
root and `ip`. Each has one worker. A corpus is encoded with a tiny model by one process, by both hosts, by both while
their link is cut for a moment, and while the second host loses all of its processes and is started again. The vectors
are compared with those of one process. Then a model is trained by two workers on one host, which is the one to compare
with, and by a worker on each host, undisturbed and while the second host is lost and started again. Gloo, by which the
workers send gradients, is given the name of the device, as both hosts have one name, which resolves to neither's
address. "Sent" is what the second host sent over its link. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
os.environ.update(
    OMP_NUM_THREADS="1",
    HF_HUB_OFFLINE="1",
    RAY_USAGE_STATS_ENABLED="0",
    RAY_AUTH_MODE="token",
    GLOO_SOCKET_IFNAME="eth0",
)

from kills import PAIRS, timeless, tiny_model
from network_hosts import hosts, link, on, processes, sent
from ray_corpus import write_corpus
from rich.console import Console
from rich.table import Table

from registry.shared.digests import sha256_of

HERE = "10.78.0.1"
FIRST, SECOND = "dr-first", "dr-second"
ADDRESSES = {FIRST: "10.78.0.2", SECOND: "10.78.0.3"}
PORT = 6379
CLUSTER = f"{ADDRESSES[FIRST]}:{PORT}"
DOMAIN_ROUTER = [sys.executable, "-c", "from router_plugin.cli import main; main()"]
RAY = [sys.executable, "-m", "ray.scripts.scripts", "start", "--object-store-memory", str(128 << 20), "--block"]
ALIVE = f"import ray; ray.init({CLUSTER!r}); print(*(node['NodeID'] for node in ray.nodes() if node['Alive']))"
TRAIN = ("--device", "cpu", "--iterations", "2", "--min-steps", "150", "--batch-size", "16")
WORKERS = {"encode": b"ray::MapWorker", "train": b"ray::RayTrainWorker"}
PATIENCE = 600
AWAY = 10.0
"""Seconds from the loss of a host until it is started again."""


class Cluster:
    """Ray on both hosts."""

    def __init__(self, folder: Path, cores: int) -> None:
        self._folder, self._cores = folder, cores

    def start(self, host: str) -> None:
        """Start a host's node, and wait until it belongs to the cluster."""
        before = self._nodes() if host != FIRST else set()
        whose = ["--head", "--port", str(PORT), "--temp-dir", str(self._folder / "ray"), "--include-dashboard", "false"]
        node = [*RAY, *(whose if host == FIRST else ["--address", CLUSTER]), "--num-cpus", str(self._cores)]
        with (self._folder / f"{host}.log").open("ab") as log:
            subprocess.Popen([*on(host), *node, "--node-ip-address", ADDRESSES[host]], stdout=log, stderr=log)
        _wait_for(lambda: bool(self._nodes() - before), f"{host} to start")

    def lose(self, host: str) -> None:
        """Kill all processes of a host."""
        for process in processes(host):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    def _nodes(self) -> set[str]:
        """Those that are alive, or seem to be; none if there is no cluster yet."""
        done = subprocess.run([*on(FIRST), sys.executable, "-c", ALIVE], capture_output=True, text=True)
        return set(done.stdout.split()) if done.returncode == 0 else set()


def main() -> None:
    """Build the hosts, encode, train, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--chunks", type=int, default=200_000)
    parser.add_argument("--part", nargs="+", choices=("encode", "train"), default=["encode", "train"])
    parser.add_argument("--cut", type=float, default=5.0, help="seconds without a link")
    arguments = parser.parse_args()
    with ExitStack() as everything:
        folder = Path(everything.enter_context(tempfile.TemporaryDirectory(prefix="dr-")))
        everything.enter_context(hosts(HERE, ADDRESSES))
        cluster = Cluster(folder, 1)
        everything.callback(lambda: [cluster.lose(host) for host in ADDRESSES])
        for host in ADDRESSES:
            cluster.start(host)
        model = str(tiny_model(folder / "base"))
        found = encoded(folder, cluster, model, arguments) if "encode" in arguments.part else {}
        found |= trained(folder, cluster, model) if "train" in arguments.part else {}
    _print(found)


def encoded(folder: Path, cluster: Cluster, model: str, arguments: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """What became of a corpus, in each case."""
    source = write_corpus(folder / "corpus.jsonl", arguments.chunks, 40)

    def run(name: str, *cluster_options: str, disturb: Callable[[], object] | None = None) -> dict[str, Any]:
        out = folder / name
        command = ["encode", source, str(out), "--model", model, *cluster_options]
        found = _watched(command, lambda: len(list(out.glob("vectors/*.json"))) >= 10, disturb)
        manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
        return found | {"outcome": [shard["sha256"] for shard in manifest["shards"]]}

    both = ("--ray", CLUSTER, "--workers", "2")
    return _compared(
        {
            "encode, one process": run("one"),
            "encode, two hosts": run("two", *both),
            f"encode, link cut for {arguments.cut:g} s": run("cut", *both, disturb=lambda: _cut(arguments.cut)),
            "encode, a host lost and started again": run("lost", *both, disturb=lambda: _replace(cluster)),
        }
    )


def trained(folder: Path, cluster: Cluster, model: str) -> dict[str, dict[str, Any]]:
    """What became of a training, in each case."""
    (folder / "pairs.jsonl").write_text(PAIRS.read_text(encoding="utf-8"), encoding="utf-8")
    prepare = ["prepare", str(folder / "pairs.jsonl"), "--out", str(folder / "data")]
    subprocess.run([*DOMAIN_ROUTER, *prepare], check=True, capture_output=True)

    def run(name: str, *cluster_options: str, disturb: Callable[[], object] | None = None) -> dict[str, Any]:
        out = folder / f"model-{name}"
        command = ["train", str(folder / "data"), "--domain", "legal", "--out", str(out), "--base-model", model, *TRAIN]
        begun = (folder / f".model-{name}.run" / "run.json").exists
        found = _watched([*command, *cluster_options, "--ray-workers", "2"], begun, disturb)
        report = timeless(json.loads((out / "report.json").read_text(encoding="utf-8")))
        return found | {"outcome": [sha256_of(out / "model.safetensors"), report]}

    both = ("--ray", CLUSTER)
    return _compared(
        {
            "train, both workers on one host": run("one", "--ray", "local"),
            "train, a worker on each host": run("two", *both),
            "train, a host lost and started again": run("lost", *both, disturb=lambda: _replace(cluster)),
        }
    )


def _compared(found: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Whether each outcome is that of the first."""
    first = next(iter(found.values()))["outcome"]
    return {name: {**each, "same": each["outcome"] == first, "outcome": None} for name, each in found.items()}


def _cut(seconds: float) -> None:
    link(SECOND, "down")
    time.sleep(seconds)
    link(SECOND, "up")


def _replace(cluster: Cluster) -> None:
    cluster.lose(SECOND)
    time.sleep(AWAY)
    cluster.start(SECOND)


def _watched(command: list[str], ready: Callable[[], bool], disturb: Callable[[], object] | None) -> dict[str, Any]:
    """Run a command of ``domain-router`` on the first host, and disturb it once it is ready and the other host works.

    Raises:
        SystemExit: it failed.
    """
    seen, before, begun = 0, sent(SECOND), time.monotonic()
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen([*on(FIRST), *DOMAIN_ROUTER, *command], stdout=said, stderr=said, text=True)
        disturbing = threading.Thread(target=disturb) if disturb else None
        while process.poll() is None:
            working = _working(WORKERS[command[0]])
            seen = max(seen, working)
            if disturbing and not disturbing.ident and working and ready():
                disturbing.start()
            time.sleep(0.2)
        seconds = time.monotonic() - begun
        if process.returncode:
            said.seek(0)
            raise SystemExit(said.read())
    if disturbing:
        if not disturbing.ident:
            raise SystemExit(f"{' '.join(command)} ended before it was disturbed")
        disturbing.join()
    return {"seconds": round(seconds, 1), "workers_there": seen, "sent_mib": round((sent(SECOND) - before) / 2**20, 1)}


def _working(title: bytes) -> int:
    """How many workers the second host has."""
    found = 0
    for process in processes(SECOND):
        with suppress(OSError):
            found += Path(f"/proc/{process}/cmdline").read_bytes().startswith(title)
    return found


def _wait_for(true: Callable[[], bool], what: str) -> None:
    begun = time.monotonic()
    while not true():
        if time.monotonic() > begun + PATIENCE:
            raise SystemExit(f"waited {PATIENCE} seconds for {what}")
        time.sleep(0.5)


def _print(found: dict[str, dict[str, Any]]) -> None:
    table = Table("", "seconds", "workers on the second host", "it sent, MiB", "same as the first")
    for name, each in found.items():
        cells = (each[column] for column in ("seconds", "workers_there", "sent_mib"))
        table.add_row(name, *map(str, cells), "yes" if each["same"] else "NO")
    Console(width=120).print(table)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
