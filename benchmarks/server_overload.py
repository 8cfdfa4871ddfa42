"""Offers the HTTP server four times what it can do, and measures what it still does, its memory, and its recovery.

    python benchmarks/server_overload.py --data ../shared/data

All ask `/v1/embeddings` for one text each, no text twice. `capacity` is what 64 clients get that wait for each answer.
Then requests come evenly at --times that rate, whether or not earlier ones were answered: `goodput` counts the answers
within --deadline seconds. Every request that is refused must be refused with 429 and Retry-After, which is counted.
`resident_mb` is the server's memory at capacity and the highest during the overload. Two seconds after it, single
requests are timed again: `p50_ms` is the median of a request before, and then. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
os.environ["OMP_NUM_THREADS"] = "1"

from http_load import Answer, Client, Server, own_command, resident_megabytes, started
from rich.console import Console
from rich.table import Table
from server_throughput import PORT, texts_of

from registry import Registry

CLIENTS = 64
SINGLE = 50
RECOVERY = 2.0
"""Seconds after the overload."""
PATH, MODEL = "/v1/embeddings", "general"


def main() -> None:
    """Start, load, overload, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--backend", default="onnx-int8")
    parser.add_argument("--times", type=float, default=4, help="offered load, as a multiple of capacity")
    parser.add_argument("--seconds", type=float, default=15, help="of each of capacity and overload")
    parser.add_argument("--deadline", type=float, default=10, help="seconds after which an answer is of no use")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "routes.yaml").write_text("routes: [{name: any, utterances: [anything]}]", encoding="utf-8")
        Registry(str(folder / "registry")).create()
        served = ["--registry", str(folder / "registry"), "--routes", str(folder / "routes.yaml")]
        command = own_command(*served, "--port", str(PORT), "--backend", arguments.backend, "--threads", "1")
        with started(command, PORT, "/health/ready") as server:
            result = asyncio.run(_measured(server, _distinct(arguments.data), arguments))
    table = Table("", "", title="Overload")
    for name, value in result.items():
        table.add_row(name, str(value))
    Console(width=100).print(table)
    print(json.dumps({"backend": arguments.backend, "times": arguments.times, **result}))


def _distinct(data: Path) -> Iterator[str]:
    """Texts without end, no two alike."""
    known = list(texts_of(data))
    for number in itertools.count():
        for text in known:
            yield f"{text} {number}" if number else text


async def _measured(server: Server, texts: Iterator[str], arguments: argparse.Namespace) -> dict[str, object]:
    before = await _single(texts)
    capacity = await _capacity(texts, arguments.seconds)
    normal = resident_megabytes(server.process.pid)
    answers, highest = await _overload(server, texts, capacity * arguments.times, arguments.seconds)
    await asyncio.sleep(RECOVERY)
    after = await _single(texts)
    good = sum(answer.status == 200 and answer.seconds <= arguments.deadline for answer in answers)
    return {
        "capacity, texts per s": round(capacity, 1),
        "offered, texts per s": round(len(answers) / arguments.seconds, 1),
        "goodput, texts per s": round(good / arguments.seconds, 1),
        "goodput against capacity": round(good / arguments.seconds / capacity, 3),
        "answers by status": dict(sorted(Counter(answer.status for answer in answers).items())),
        "resident_mb": [round(normal), round(highest)],
        "p50_ms before, and 2 s after": [round(before, 2), round(after, 2)],
    }


async def _single(texts: Iterator[str]) -> float:
    """Median milliseconds of requests one after another."""
    client = Client(PORT)
    spent = [(await _ask(client, text)).seconds for text in itertools.islice(texts, SINGLE)]
    client.close()
    return 1000 * statistics.median(spent)


async def _ask(client: Client, text: str) -> Answer:
    return await client.post(PATH, {"model": MODEL, "input": text})


async def _capacity(texts: Iterator[str], seconds: float) -> float:
    """Texts a second that clients get that wait for each answer."""
    end, done = time.perf_counter() + seconds, 0

    async def ask() -> None:
        nonlocal done
        client = Client(PORT)
        while time.perf_counter() < end:
            answer = await _ask(client, next(texts))
            done += answer.status == 200
        client.close()

    await asyncio.gather(*(ask() for _ in range(CLIENTS)))
    return done / seconds


async def _overload(server: Server, texts: Iterator[str], rate: float, seconds: float) -> tuple[list[Answer], float]:
    """The answers to requests that come at a rate, and the highest memory meanwhile."""
    free: list[Client] = []
    answers: list[Answer] = []

    async def ask(text: str) -> None:
        client = free.pop() if free else Client(PORT)
        answers.append(await _ask(client, text))
        free.append(client)

    begun, asked, highest = time.perf_counter(), list[asyncio.Task[None]](), 0.0
    while (now := time.perf_counter() - begun) < seconds:
        while len(asked) < now * rate:
            asked.append(asyncio.ensure_future(ask(next(texts))))
        highest = max(highest, resident_megabytes(server.process.pid))
        await asyncio.sleep(0.01)
    await asyncio.gather(*asked)
    for client in free:
        client.close()
    return answers, highest


if __name__ == "__main__":
    main()
