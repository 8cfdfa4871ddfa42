"""Assesses samples of public pairs: what untrained rankers reach, the ceiling, the verdict.

    python benchmarks/assessed.py --data ../shared/data --pairs 1000 --set medquad:random --set medquad:grouped

A set is a file in --data, or one of the examples. With --train, the default recipe is trained on each set, too. An
assessment was right if it said `fine-tune` and the gain on test queries is significant, or if it said anything else and
the gain is not. The last line is one JSON object with a key for every set.
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
from registry.records import TEST, EvaluationRecord
from training import Assessment, PrepareOptions, TrainingJob, adapt, assess, prepare, read_pairs, read_prepared

COLUMNS = ("set", "train", "dev", "base", "BM25", "hybrid", "ceiling", "expected gain", "verdict", "seconds")
TRAINED = ("set", "test queries", "base", "adapted", "gain", "95 % interval", "p", "verdict", "right")
MEASURE = "mrr@5"
EXAMPLES = Path(__file__).parents[1] / "examples" / "data"


def main() -> None:
    """Prepare each set, assess it, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--pairs", type=int, default=1000, help="of each set, spread evenly over the file")
    parser.add_argument(
        "--set", action="append", required=True, metavar="NAME:SPLIT", help="file, and random or grouped"
    )
    parser.add_argument("--train", action="store_true", help="train on each set, too")
    parser.add_argument("--base-model", default="all-MiniLM-L6-v2")
    parser.add_argument("--device", default=None)
    arguments = parser.parse_args()
    base = resolve_base_model(arguments.base_model)
    found, seconds, trained = {}, {}, {}
    for each in arguments.set:
        name, _, split = each.partition(":")
        pairs = spread(read_pairs(_file(arguments.data, name)), arguments.pairs)
        with tempfile.TemporaryDirectory() as folder:
            prepare(pairs, Path(folder) / "data", PrepareOptions(split=split))
            started = time.monotonic()
            found[each] = assess(read_prepared(Path(folder) / "data"), base, device=arguments.device)
            seconds[each] = time.monotonic() - started
            if arguments.train:
                job = TrainingJob(read_prepared(Path(folder) / "data"), "assessed", base, device=arguments.device)
                trained[each] = adapt(job, Path(folder) / "model").evaluations[TEST]
                print(each, found[each].verdict, trained[each].comparison[MEASURE], flush=True)
    _print(found, seconds)
    if trained:
        _print_trained(found, trained)


def _file(data: Path, name: str) -> Path:
    example = EXAMPLES / f"{name}.jsonl"
    return example if example.is_file() else data / f"{name}.jsonl.gz"


def _print_trained(found: dict[str, Assessment], trained: dict[str, EvaluationRecord]) -> None:
    table = Table(title=f"{MEASURE} on test, of the default recipe")
    for column in TRAINED:
        table.add_column(column)
    for name, each in trained.items():
        gain, verdict = each.comparison[MEASURE], found[name].verdict
        table.add_row(
            *(name, str(each.queries), f"{each.base[MEASURE]:.4f}", f"{each.adapted[MEASURE]:.4f}"),
            *(f"{gain.difference:+.4f}", f"{gain.low:+.4f} to {gain.high:+.4f}", f"{gain.p_value:.4f}", verdict),
            "yes" if (verdict == "fine-tune") == (gain.low > 0) else "no",
        )
    Console(width=140).print(table)


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
