"""What benchmarks of the server share: a server in a process of its own, and clients that cost little themselves."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple


class Server(NamedTuple):
    """A server that is asked, and its process."""

    port: int
    process: subprocess.Popen[bytes]


class Answer(NamedTuple):
    """What a server answered; the status is 0 where the connection was lost."""

    status: int
    body: bytes
    seconds: float


def own_command(*options: str) -> list[str]:
    """``domain-router serve``."""
    return [str(Path(sys.executable).with_name("domain-router")), "serve", *options]


@contextmanager
def started(command: Sequence[str], port: int, ready: str, log: Path | None = None) -> Iterator[Server]:
    """A server, from when it is ready until the end of the block.

    Args:
        command: that starts it.
        port: on which it listens.
        ready: the path that answers 200 then.
        log: file for what it prints.
    """
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    with (log or Path(os.devnull)).open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    try:
        while not is_ready(port, ready):
            if process.poll() is not None:
                raise SystemExit(f"{' '.join(command)} ended with status {process.returncode}")
            time.sleep(0.2)
        yield Server(port, process)
    finally:
        process.terminate()
        process.wait()


def is_ready(port: int, path: str) -> bool:
    """Whether a server answers 200 there."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def resident_megabytes(pid: int) -> float:
    """Resident memory of a process and of those that it started."""
    every, left = 0.0, [str(pid)]
    while left:
        folder = Path("/proc", left.pop())
        try:
            pages = int((folder / "statm").read_text().split()[1])
            left += (folder / "task" / folder.name / "children").read_text().split()
        except OSError:  # it has ended
            continue
        every += pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    return every


class Client:
    """Asks one request after another on a connection that stays open, and opens another one if it is lost."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, path: str, body: Any) -> Answer:
        """Send JSON and read the answer."""
        content, begun = json.dumps(body).encode(), time.perf_counter()
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(content)}"
        try:
            if self._streams is None:
                self._streams = await asyncio.open_connection("127.0.0.1", self._port)
            reader, writer = self._streams
            writer.write(f"{head}\r\n\r\n".encode() + content)
            answer = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(answer.partition(b"content-length:")[2].partition(b"\r\n")[0])
            found = await reader.readexactly(length)
            return Answer(int(answer.split(b" ", 2)[1]), found, time.perf_counter() - begun)
        except (OSError, asyncio.IncompleteReadError):
            self.close()
            return Answer(0, b"", time.perf_counter() - begun)

    def close(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            self._streams[1].close()
        self._streams = None
