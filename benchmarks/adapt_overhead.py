"""Counts what a training run does besides fine-tuning: models loaded, splits ranked, CPU time, on a tiny model.

    OMP_NUM_THREADS=1 python benchmarks/adapt_overhead.py --repeats 5

Trains a tiny model, built from a config, on example pairs, in one and in two iterations. Fine-tuning takes a few steps
only, so that the rest dominates. CPU seconds are the median over the repetitions; the first run of the process, which
imports and compiles, is not counted. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from kills import PAIRS, tiny_model
from rich.console import Console
from rich.table import Table
from samples import spread
from sentence_transformers import SentenceTransformer

import training.retrieval.states
from registry import resolve_base_model
from training import Contrastive, PreparedData, TrainingJob, adapt, prepare, read_pairs, read_prepared

COUNT = 60


@dataclass
class Work:
    """What a run did."""

    loads: int = 0
    rankings: int = 0


def main() -> None:
    """Train, count, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        base = tiny_model(folder / "base")
        prepare(spread(read_pairs(str(PAIRS)), COUNT), folder / "data")
        data = read_prepared(folder / "data")
        run(data, base, 1, folder / "first")
        results = {
            iterations: [
                run(data, base, iterations, folder / f"{iterations}-{number}") for number in range(arguments.repeats)
            ]
            for iterations in (1, 2)
        }
    _print({str(iterations): _summary(found) for iterations, found in results.items()})


def run(data: PreparedData, base: Path, iterations: int, out: Path) -> dict[str, Any]:
    """One run: loads, rankings, CPU seconds, and the metric that two runs must agree on."""
    recipe = Contrastive(iterations=iterations, min_steps=20, batch_size=8, learning_rate=0.01)
    with counted() as work:
        started = time.process_time()
        report = adapt(TrainingJob(data, "legal", resolve_base_model(str(base)), recipe, device="cpu"), out)
        seconds = time.process_time() - started
    return {
        "loads": work.loads,
        "rankings": work.rankings,
        "cpu_seconds": seconds,
        "mrr@5": round(report.adapted_metrics["test"]["mrr@5"], 6),
    }


@contextmanager
def counted() -> Iterator[Work]:
    """Count the models loaded from a folder, and the splits ranked."""
    work, load, rank = Work(), SentenceTransformer.__init__, training.retrieval.states.ranked

    def loading(self: SentenceTransformer, folder: str | None = None, **options: Any) -> None:
        work.loads += folder is not None
        load(self, folder, **options)

    def ranking(*arguments: Any) -> Any:
        work.rankings += 1
        return rank(*arguments)

    with (
        mock.patch.object(SentenceTransformer, "__init__", loading),
        mock.patch.object(training.retrieval.states, "ranked", ranking),
    ):
        yield work


def _summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The common counts, and the median of the seconds."""
    assert all({**each, "cpu_seconds": 0} == {**runs[0], "cpu_seconds": 0} for each in runs)
    return {**runs[0], "cpu_seconds": round(statistics.median(each["cpu_seconds"] for each in runs), 2)}


def _print(results: dict[str, dict[str, Any]]) -> None:
    table = Table("iterations", "models loaded", "splits ranked", "CPU seconds", title=f"{COUNT} pairs, a tiny model")
    for iterations, found in results.items():
        table.add_row(iterations, *(str(found[name]) for name in ("loads", "rankings", "cpu_seconds")))
    Console(width=120).print(table)
    print(json.dumps(results))


if __name__ == "__main__":
    main()
