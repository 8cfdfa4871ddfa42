"""Assesses samples of public pairs: what untrained rankers reach, the ceiling, the verdict.

    python benchmarks/assessed.py --data ../shared/data --pairs 1000 --set medquad:random --set medquad:grouped

The last line is one JSON object with a key for every set.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

from rich.console import Console
from rich.table import Table
from samples import spread

from registry import resolve_base_model
from training import Assessment, PrepareOptions, assess, prepare, read_pairs, read_prepared

COLUMNS = ("set", "train", "dev", "base", "BM25", "hybrid", "ceiling", "expected gain", "verdict", "seconds")


def main() -> None:
    """Prepare each set, assess it, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--pairs", type=int, default=1000, help="of each set, spread evenly over the file")
    parser.add_argument(
        "--set", action="append", required=True, metavar="NAME:SPLIT", help="file, and random or grouped"
    )
    parser.add_argument("--base-model", default="all-MiniLM-L6-v2")
    parser.add_argument("--device", default=None)
    arguments = parser.parse_args()
    base = resolve_base_model(arguments.base_model)
    found, seconds = {}, {}
    for each in arguments.set:
        name, _, split = each.partition(":")
        pairs = spread(read_pairs(str(arguments.data / f"{name}.jsonl.gz")), arguments.pairs)
        with tempfile.TemporaryDirectory() as folder:
            prepare(pairs, Path(folder) / "data", PrepareOptions(split=split))
            started = time.monotonic()
            found[each] = assess(read_prepared(Path(folder) / "data"), base, device=arguments.device)
            seconds[each] = time.monotonic() - started
    _print(found, seconds)


def _print(found: dict[str, Assessment], seconds: dict[str, float]) -> None:
    table = Table(title="MRR@5 on dev")
    for column in COLUMNS:
        table.add_column(column)
    for name, each in found.items():
        table.add_row(
            *(name, str(each.training_queries), str(each.dev_queries)),
            *(f"{metrics['mrr@5']:.4f}" for metrics in each.metrics.values()),
            *(f"{each.ceiling.value:.4f}", f"{each.expected_gain:.4f}", each.verdict, f"{seconds[name]:.0f}"),
        )
    Console(width=140).print(table)
    print(json.dumps({name: each.model_dump(mode="json") for name, each in found.items()}))


if __name__ == "__main__":
    main()
