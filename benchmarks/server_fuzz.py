"""Sends the HTTP server what its OpenAPI document allows, what it does not, and what is no HTTP, and counts faults.

    python benchmarks/server_fuzz.py --schemathesis ~/schemathesis/bin/st --examples 2000

schemathesis (`pip install schemathesis` in an environment of its own) makes requests of the document:
no answer may have a status of 500, one that the document does not have, or another shape. Then come connections that
send nothing, half a request, a body drop by drop, 100 MB, JSON that is nested ten thousand times, and bytes that are no
UTF-8; after each, an ordinary request must be answered. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

from http_load import own_command, started
from rich.console import Console
from rich.table import Table
from server_throughput import PORT

from registry import Registry

ROUTE = "POST /v1/route HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
IDLE = 50
"""Connections that stay open and send nothing, or half of a request."""


def main() -> None:
    """Start, send, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--schemathesis", type=Path, help="the command st; by default only broken requests are sent")
    parser.add_argument("--examples", type=int, default=1000, help="requests of each endpoint")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "routes.yaml").write_text(
            "routes: [{name: one, utterances: [hello]}, {name: two, utterances: [my knee hurts]}]", encoding="utf-8"
        )
        Registry(str(folder / "registry")).create()
        served = ["--registry", str(folder / "registry"), "--routes", str(folder / "routes.yaml")]
        options = ["--port", str(PORT), "--feedback", str(folder / "feedback.jsonl"), "--timeout-s", "5"]
        with started(own_command(*served, *options), PORT, "/health/ready", folder / "log"):
            result = {name: _survived(attack) for name, attack in ATTACKS.items()}
            if arguments.schemathesis:
                result |= _schemathesis(arguments.schemathesis, arguments.examples)
        log = (folder / "log").read_text(encoding="utf-8")
        result["requests"], result["with_status_500"] = log.count('"message":"request"'), log.count('"status":500')
    table = Table("", "", title="What the server was sent")
    for name, value in result.items():
        table.add_row(name, str(value))
    Console(width=110).print(table)
    print(json.dumps(result))


def _schemathesis(command: Path, examples: int) -> dict[str, object]:
    """What it generated and what failed."""
    url = f"http://127.0.0.1:{PORT}/openapi.json"
    asked = [str(command), "run", url, "--max-examples", str(examples), "--workers", "2", "--checks", CHECKS]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    counts = re.findall(r"(\d+) generated, (.*)", done.stdout)
    if not counts:
        raise SystemExit(f"{command} did not run: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return {"schemathesis": ", ".join(counts[-1]), "schemathesis status": done.returncode}


def _survived(attack: Callable[[], str]) -> str:
    """What an attack was answered, and that the server answers afterwards."""
    answer = attack()
    begun = time.perf_counter()
    asked = urllib.request.Request(
        f"http://127.0.0.1:{PORT}/v1/route",
        data=b'{"query": "hello"}',
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(asked, timeout=10) as found:
        status = found.status
    return f"{answer}; then {status} in {1000 * (time.perf_counter() - begun):.0f} ms"


def _sent(data: bytes, wait: float = 8.0) -> str:
    """The status line of what is answered to bytes."""
    with socket.create_connection(("127.0.0.1", PORT), 10) as connection:
        connection.settimeout(wait)
        with suppress(OSError):
            connection.sendall(data)
        try:
            return connection.recv(4096).split(b"\r\n")[0].decode("latin-1") or "closed"
        except TimeoutError:
            return "no answer"
        except OSError:
            return "closed"


def _request(body: bytes) -> bytes:
    return f"{ROUTE}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _idle(data: bytes) -> str:
    """Connections that do not go on."""
    open_ones = [socket.create_connection(("127.0.0.1", PORT), 10) for _ in range(IDLE)]
    for each in open_ones:
        each.sendall(data)
    answer = _sent(_request(b'{"query": "beside them"}'))
    for each in open_ones:
        each.close()
    return answer


def _slow() -> str:
    """A body drop by drop, for longer than a request may take."""
    with socket.create_connection(("127.0.0.1", PORT), 10) as connection:
        connection.sendall(f"{ROUTE}Content-Length: 1000\r\n\r\n".encode())
        connection.settimeout(0.2)
        for _ in range(60):
            with suppress(TimeoutError):
                return connection.recv(4096).split(b"\r\n")[0].decode("latin-1") or "closed"
            connection.sendall(b"x")
    return "no answer"


ATTACKS: dict[str, Callable[[], str]] = {
    "50 connections that send nothing": lambda: _idle(b""),
    "50 halves of a head": lambda: _idle(b"POST /v1/route HTTP/1.1\r\nHost:"),
    "a body drop by drop": _slow,
    "100 MB": lambda: _sent(_request(b"x" * 100_000_000)),
    "100 MB in pieces of unknown number": lambda: _sent(
        f"{ROUTE}Transfer-Encoding: chunked\r\n\r\n".encode() + (b"186a0\r\n" + b"x" * 100_000 + b"\r\n") * 1000
    ),
    "JSON nested 100,000 times": lambda: _sent(_request(b'{"query": ' + b"[" * 100_000 + b"]" * 100_000 + b"}")),
    "no UTF-8": lambda: _sent(_request(b'{"query": "\xff\xfe"}')),
    "half a character": lambda: _sent(_request(b'{"query": "\\ud800"}')),
    "no HTTP": lambda: _sent(os.urandom(10_000)),
    "a head of 1 MB": lambda: _sent(b"GET / HTTP/1.1\r\nX: " + b"x" * 1_000_000 + b"\r\n\r\n"),
}


if __name__ == "__main__":
    main()
