"""Encodes and ranks a corpus on Ray: time by number of workers, memory of every process, and what lost workers cost.

    python benchmarks/ray_corpus.py --chunks 1000000 --workers 1 2
    python benchmarks/ray_corpus.py --chunks 100000 --workers 1 2 --model all-MiniLM-L6-v2
    python benchmarks/ray_corpus.py --chunks 900000 --workers 2 --kills 20

The chunks are stretches of the examples' answers with some words changed. Without ``--model`` a tiny one is built from
a config. Every number of workers has a fresh process and a cluster of its own; its time is that of ``encode_corpus``,
start of the actors included, and first the texts are cut into shards by one process. "First to last" is the time from
the end of the first shard to that of the last. Memory is the largest resident set that was seen, twice a second,
without pages of files. With ``--kills`` an actor is killed at random instants, as often, 8 seconds apart on average,
of which an actor needs some to start again. The digests of all shards and the first 100 documents of the queries are
compared with those of one process, and every encoding of a shard is counted. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from kills import tiny_model
from ray.cloudpickle import register_pickle_by_value
from rich.console import Console
from rich.table import Table

from registry import resolve_base_model
from training.cluster.engines import open_engine
from training.corpora import encoding
from training.corpora.encoding import ShardEncoder, encode_corpus
from training.corpora.model_source import ModelSource
from training.corpora.options import EncodeOptions
from training.corpora.ranking import rank_corpus
from training.corpora.records import TEXTS, TextShard, VectorShard
from training.corpora.shard_folder import ShardFolder
from training.corpora.vector_files import read_vectors

EXAMPLES = Path(__file__).parents[1] / "examples" / "data"
DEPTH = 100
APART = 8.0
"""Mean seconds between two kills."""


class Counted(ShardEncoder):
    """Writes down each shard that it begins to encode, and each that it has encoded."""

    def __init__(self, log: Path, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.log = log

    def _encode(self, shard: TextShard) -> VectorShard:
        self._note(f"begun {shard.number}")
        found = super()._encode(shard)
        self._note(f"encoded {shard.number}")
        return found

    def _note(self, line: str) -> None:
        with self.log.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


def main() -> None:
    """One process, then each number of workers; print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--chunks", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=1024)
    parser.add_argument("--words", type=int, default=40, help="words of the longest chunk")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--shard-size", type=int, default=4096)
    parser.add_argument("--model", help="SentenceTransformer folder or Hub id; default: a tiny one")
    parser.add_argument("--kills", type=int, default=0, help="actors that are killed while each cluster encodes")
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        model = resolve_base_model(arguments.model).path if arguments.model else tiny_model(folder)
        source = write_corpus(folder / "corpus.jsonl", arguments.chunks, arguments.words)
        for workers in (0, *arguments.workers):
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
                kills = arguments.kills if workers else 0
                work = (folder, source, model, workers, arguments.shard_size, arguments.queries, kills)
                results[str(workers)] = process.submit(measure, *work).result()
    expected = results["0"]["digests"]
    for found in results.values():
        found["same_vectors"] = found.pop("digests") == expected
    _print(results, arguments)


def measure(
    folder: Path, source: str, model: Path, workers: int, shard_size: int, queries: int, kills: int
) -> dict[str, Any]:
    """Encode and rank with some workers; 0 is one process without Ray."""
    out, log = ShardFolder(folder / f"out-{workers}"), folder / f"log-{workers}"
    encoding.ShardEncoder = partial(Counted, log)  # type: ignore[misc]
    register_pickle_by_value(sys.modules[Counted.__module__])  # workers cannot import a script
    options = EncodeOptions(shard_size=shard_size)
    with open_engine("local" if workers else None, workers or None, "cpu") as engine, peaks() as memory:
        with killing(kills) as killed:
            began, started = time.time(), time.perf_counter()
            manifest = encode_corpus(source, out, ModelSource("model", model), options, engine).manifest
            encoded = time.perf_counter() - started
            cut = (folder / f"out-{workers}" / TEXTS).stat().st_mtime - began
            ends = sorted(path.stat().st_mtime for path in (folder / f"out-{workers}" / "vectors").glob("*.json"))
        first = manifest.shards[0]
        asked = read_vectors(out, first.file, first.sha256)[:queries]
        started = time.perf_counter()
        scores, positions = rank_corpus(engine, asked, out, manifest, DEPTH)
        ranked = time.perf_counter() - started
    np.savez(folder / f"top-{workers}.npz", scores=scores, positions=positions)
    with np.load(folder / "top-0.npz", allow_pickle=False) as one:
        same = all(np.array_equal(one[name], found) for name, found in (("scores", scores), ("positions", positions)))
    notes = Counter(line.split()[0] for line in log.read_text(encoding="utf-8").splitlines())
    return {
        "encode_seconds": round(encoded, 1),
        "of_it_cutting": round(cut, 1),
        "first_to_last": round(ends[-1] - ends[0], 1),
        "rank_seconds": round(ranked, 1),
        "shards": len(manifest.shards),
        "begun": notes["begun"],
        "encoded": notes["encoded"],
        "killed": killed[0],
        "same_ranking": same,
        "digests": [shard.sha256 for shard in manifest.shards],
        "peak_mib": {name: round(size / 2**20) for name, size in sorted(memory.items())},
    }


@contextmanager
def peaks() -> Iterator[dict[str, int]]:
    """The largest resident memory of this process, of any worker and of any other process of the cluster, in bytes."""
    found: dict[str, int] = {}
    ended = threading.Event()

    def look() -> None:
        driver = psutil.Process()
        while not ended.wait(0.5):
            with suppress(psutil.Error):
                for process in (driver, *driver.children(recursive=True)):
                    with suppress(psutil.Error):
                        name = "driver" if process == driver else _role(process)
                        memory = process.memory_info()
                        found[name] = max(found.get(name, 0), memory.rss - getattr(memory, "shared", 0))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    yield found
    ended.set()
    thread.join()


@contextmanager
def killing(kills: int) -> Iterator[list[int]]:
    """Kill an actor at random instants, as often as that; yields how many were."""
    killed = [0]
    ended = threading.Event()

    def kill() -> None:
        draw = random.Random(0)
        while killed[0] < kills and not ended.wait(draw.uniform(0, 2 * APART)):
            workers = [each for each in psutil.Process().children(recursive=True) if _is_actor(each)]
            if workers:
                with suppress(psutil.Error):
                    draw.choice(workers).kill()
                    killed[0] += 1

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    yield killed
    ended.set()
    thread.join()


def _role(process: psutil.Process) -> str:
    return "worker" if _is_actor(process) else "rest of Ray"


def _is_actor(process: psutil.Process) -> bool:
    try:
        return any("MapWorker" in part for part in process.cmdline()[:1])
    except psutil.Error:
        return False


def write_corpus(path: Path, count: int, words: int) -> str:
    """Stretches of 5 words and more of the examples' answers, one word in ten of each replaced by another of theirs."""
    known = [
        word
        for file in sorted(EXAMPLES.glob("*.jsonl"))
        for line in file.read_text(encoding="utf-8").splitlines()
        for word in json.loads(line)["answer"].split()
    ]
    draw = random.Random(0)
    with path.open("w", encoding="utf-8") as file:
        for row in range(count):
            start = draw.randrange(len(known) - words)
            text = known[start : start + draw.randint(5, words)]
            for place in draw.sample(range(len(text)), math.ceil(len(text) / 10)):
                text[place] = draw.choice(known)
            file.write(json.dumps({"_id": str(row), "text": " ".join(text)}) + "\n")
    return str(path)


def _print(results: dict[str, Any], arguments: argparse.Namespace) -> None:
    one = results[str(arguments.workers[0])]["encode_seconds"]
    table = Table(title=f"{arguments.chunks} chunks, {arguments.model or 'tiny model'}, {platform.machine()}")
    columns = (
        "workers",
        "encode s",
        "times",
        "of it cutting",
        "first to last",
        "rank s",
        "shards",
        "begun",
        "encoded",
        "killed",
        "same",
        "peak MiB",
    )
    for column in columns:
        table.add_column(column)
    for workers, found in results.items():
        same = found["same_vectors"] and found["same_ranking"]
        cells = (
            workers if workers != "0" else "no Ray",
            found["encode_seconds"],
            round(one / found["encode_seconds"], 2),
            *(found[name] for name in ("of_it_cutting", "first_to_last", "rank_seconds")),
            *(found[name] for name in ("shards", "begun", "encoded", "killed")),
            "yes" if same else "NO",
            ", ".join(f"{name} {size}" for name, size in found["peak_mib"].items()),
        )
        table.add_row(*map(str, cells))
    Console(width=160).print(table)
    print(json.dumps(results))


if __name__ == "__main__":
    main()
