"""Lets the HTTP server serve mixed requests for minutes while its versions, processes and database are disturbed.

    python benchmarks/server_faults.py --minutes 10

Two processes serve a domain with six versions of the ready-made medical adapter, whose weights differ. Clients ask for
embeddings of fifty texts, decisions, probabilities, and batches, one request after another. Meanwhile five versions are
promoted, two of which are damaged; each process is killed once; and the table of aliases is gone for thirty seconds.
Every embedding is compared with what the version that it names makes of the text. The table has the answers by request
and status, where `lost` are connections that a killed process held. `live_s` are the seconds from a promotion to the
first answer by it. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import signal
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
from http_load import Answer, Client, Server, own_command, started
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from safetensors.numpy import load_file, save_file
from server_throughput import PORT

from registry import ModelVersion, Registry
from router_plugin import ServedDomains, Settings
from training import publish

ROOT = Path(__file__).parents[1]
MODEL = ROOT / "models" / "medical"
VERSIONS, DAMAGED = 6, (3, 5)
TEXTS = 50
CLIENTS = 8
ANNOUNCED = (200, 429, 503, 504)
"""Statuses that documentation tells clients to expect; and lost connections, where a process is killed."""
TOLERANCE = 1e-3

Vectors = dict[str, NDArray[np.float32]]


@dataclass
class Seen:
    """What clients saw.

    Attributes:
        answers: by request and status.
        wrong: vectors that are not those of the version that was named.
        first: when each version first answered.
        longest: the longest request, in seconds.
    """

    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    wrong: int = 0
    first: dict[str, float] = field(default_factory=dict)
    longest: float = 0.0


def main() -> None:
    """Publish, serve, disturb, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10)
    minutes = parser.parse_args().minutes
    lines = (ROOT / "examples" / "data" / "medical.jsonl").read_text(encoding="utf-8").splitlines()[:TEXTS]
    texts = [str(json.loads(line)["question"]) for line in lines]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        store = Registry.open(str(folder / "registry"))
        versions = _published(store, folder)
        vectors = _vectors(folder, versions, texts)
        for number in DAMAGED:
            _damage(store.fetch(versions[number - 1]))
        options = ["--registry", str(folder / "registry"), "--routes", str(folder / "routes.yaml"), "--workers", "2"]
        (folder / "routes.yaml").write_text(
            "routes: [{name: pain, domain: medical, utterances: [my knee hurts]}]", encoding="utf-8"
        )
        with started(own_command(*options, "--port", str(PORT)), PORT, "/health/ready", folder / "log") as server:
            seen, promoted = asyncio.run(_disturbed(server, store, folder, texts, vectors, 60 * minutes))
        store.close()
    _print(seen, promoted, minutes)


def _published(store: Registry, folder: Path) -> list[ModelVersion]:
    """The versions, of which the first is the champion."""
    found = []
    for number in range(VERSIONS):
        copy = shutil.copytree(MODEL, folder / f"model-{number}")
        (file,) = copy.rglob("adapter_model.safetensors")
        draw = np.random.default_rng(number)
        weights = {
            name: part + draw.normal(0, 0.01 * number, part.shape).astype(part.dtype)
            for name, part in load_file(file).items()
        }
        save_file(weights, file, metadata={"format": "pt"})
        found.append(publish(copy, store, force=True))
    return found


def _vectors(folder: Path, versions: Sequence[ModelVersion], texts: Sequence[str]) -> Vectors:
    """What each version makes of the texts, ``(n, d)``."""
    with ServedDomains(str(folder / "registry"), settings=Settings(query_cache=0)) as domains:
        pairs = [("medical", text) for text in texts]
        return {each.name: np.stack(domains.with_version(each).embed(pairs)) for each in versions}


def _damage(folder: Path) -> None:
    (file,) = folder.rglob("adapter_model.safetensors")
    file.chmod(0o644)
    file.write_bytes(file.read_bytes()[:-1] + b"\0")


async def _disturbed(
    server: Server, store: Registry, folder: Path, texts: Sequence[str], vectors: Vectors, seconds: float
) -> tuple[Seen, dict[str, float]]:
    """What clients saw, and when each version was promoted."""
    seen, end = Seen(), time.monotonic() + seconds
    asking = [
        asyncio.ensure_future(_ask(random.Random(number), seen, texts, vectors, end)) for number in range(CLIENTS)
    ]
    promoted = await _disturb(server, store, folder, seconds)
    await asyncio.gather(*asking)
    return seen, promoted


async def _disturb(server: Server, store: Registry, folder: Path, seconds: float) -> dict[str, float]:
    """Promote, kill, and take the database away, evenly over the time."""
    promoted = {}
    pause = seconds / (VERSIONS + 3)
    for number in range(2, VERSIONS + 1):
        await asyncio.sleep(pause)
        promoted[f"medical@{number}"] = time.monotonic()
        store.promote(f"medical@{number}")
    for process in _children(server.process.pid):
        await asyncio.sleep(pause / 2)
        os.kill(process, signal.SIGKILL)
    await asyncio.sleep(pause / 2)
    with closing(sqlite3.connect(folder / "registry" / "registry.db")) as database:
        database.execute("ALTER TABLE aliases RENAME TO gone")
        await asyncio.sleep(min(30, pause / 2))
        database.execute("ALTER TABLE gone RENAME TO aliases")
    return promoted


def _children(pid: int) -> list[int]:
    """The processes that serve."""
    every = Path("/proc", str(pid), "task", str(pid), "children").read_text().split()
    return [int(each) for each in every if b"resource_tracker" not in Path("/proc", each, "cmdline").read_bytes()]


async def _ask(draw: random.Random, seen: Seen, texts: Sequence[str], vectors: Vectors, end: float) -> None:
    """One request after another until the end."""
    client = Client(PORT)
    while time.monotonic() < end:
        rows = draw.sample(range(len(texts)), draw.choice((1, 1, 1, 20)))
        some = [texts[row] for row in rows]
        kind = draw.choice(("embeddings", "embeddings", "route", "classify"))
        path, body = {
            "embeddings": ("/v1/embeddings", {"model": "medical", "input": some}),
            "route": ("/v1/route/batch", {"queries": some}),
            "classify": ("/classify", {"inputs": some}),
        }[kind]
        answer = await client.post(path, body)
        seen.answers[kind, answer.status] += 1
        seen.longest = max(seen.longest, answer.seconds)
        if answer.status == 0:
            await asyncio.sleep(0.1)
        elif kind == "embeddings" and answer.status == 200:
            _check(answer, rows, vectors, seen)
    client.close()


def _check(answer: Answer, rows: Sequence[int], vectors: Vectors, seen: Seen) -> None:
    found: dict[str, Any] = json.loads(answer.body)
    version = str(found["system_fingerprint"]).rpartition("-")[0]
    seen.first.setdefault(version, time.monotonic())
    made = np.array([each["embedding"] for each in found["data"]])
    wanted = vectors[version][list(rows)] if version in vectors else np.zeros_like(made)
    seen.wrong += int((np.abs(made - wanted).max(axis=1) > TOLERANCE).sum())


def _print(seen: Seen, promoted: dict[str, float], minutes: float) -> None:
    statuses = sorted({status for _, status in seen.answers})
    table = Table("", *(str(status or "lost") for status in statuses), title=f"{minutes:g} minutes")
    for kind in sorted({kind for kind, _ in seen.answers}):
        table.add_row(kind, *(str(seen.answers[kind, status]) for status in statuses))
    Console(width=100).print(table)
    live = {name: round(seen.first[name] - when, 2) for name, when in promoted.items() if name in seen.first}
    unannounced = sum(count for (_, status), count in seen.answers.items() if status not in (0, *ANNOUNCED))
    result = {
        "answers": {f"{kind} {status or 'lost'}": count for (kind, status), count in sorted(seen.answers.items())},
        "wrong_vectors": seen.wrong,
        "unannounced_errors": unannounced,
        "live_s": live,
        "longest_s": round(seen.longest, 2),
    }
    print(json.dumps({"minutes": minutes, **result}))


if __name__ == "__main__":
    main()
