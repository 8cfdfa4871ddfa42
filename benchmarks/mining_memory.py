"""Measures ranking for mining on random vectors: time per query and peak resident memory, by size of the corpus.

    python benchmarks/mining_memory.py --chunks 100000 1000000 --queries 1024

Every size runs in a separate process, which writes the vectors block by block to a temporary file and ranks them from
there. The last line is one JSON object with a key for every size.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from training.retrieval.ranking import DEPTH, ranking
from training.retrieval.vectors import StoredVectors

DIMENSION = 384
BLOCK = 16_384


def main() -> None:
    """Measure every size in a fresh process, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--chunks", type=int, nargs="+", default=[100_000, 1_000_000], help="sizes of the corpus")
    parser.add_argument("--queries", type=int, default=1024)
    arguments = parser.parse_args()
    results = {}
    for chunks in arguments.chunks:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            results[str(chunks)] = process.submit(measure, chunks, arguments.queries).result()
    _print(results, arguments.queries)


def measure(chunks: int, queries: int) -> dict[str, float]:
    """Rank random unit vectors; peak memory is that of this process since it was started."""
    with tempfile.TemporaryDirectory() as scratch:
        corpus = _random(Path(scratch) / "corpus.npy", chunks, seed=0)
        asked = _random(Path(scratch) / "queries.npy", queries, seed=1)
        before = _peak_mib()
        started, worked = time.perf_counter(), time.process_time()
        ranked = ranking(asked, corpus, DEPTH)
        seconds, worked = time.perf_counter() - started, time.process_time() - worked
        megabytes = (Path(scratch) / "corpus.npy").stat().st_size / 1e6
    assert ranked.shape == (queries, min(DEPTH, chunks))
    return {
        "file_mb": round(megabytes, 1),
        "seconds": round(seconds, 2),
        "cpu_seconds": round(worked, 2),
        "cpu_ms_per_query": round(1000 * worked / queries, 3),
        "peak_mib_before": round(before),
        "peak_mib": round(_peak_mib()),
    }


def _random(path: Path, count: int, seed: int) -> StoredVectors:
    draw = np.random.default_rng(seed)
    vectors = StoredVectors.create(path, count, DIMENSION)
    for start in range(0, count, BLOCK):
        block = draw.standard_normal((min(BLOCK, count - start), DIMENSION), dtype=np.float32)
        vectors[start : start + BLOCK] = block / np.linalg.norm(block, axis=1, keepdims=True)
    return vectors


def _peak_mib() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def _print(results: dict[str, dict[str, float]], queries: int) -> None:
    console = Console(width=120)
    table = Table(title=f"{queries} queries, {DIMENSION} dimensions, {DEPTH} neighbours, float32")
    for column in (
        "chunks",
        "vectors, MB",
        "seconds",
        "CPU seconds",
        "CPU ms per query",
        "peak before, MiB",
        "peak, MiB",
    ):
        table.add_column(column, justify="right")
    for chunks, found in results.items():
        table.add_row(f"{int(chunks):,}", *map(str, found.values()))
    console.print(table)
    console.print(f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads", highlight=False)
    print(json.dumps({"queries": queries, "dimension": DIMENSION, "neighbours": DEPTH, "chunks": results}))


if __name__ == "__main__":
    main()
