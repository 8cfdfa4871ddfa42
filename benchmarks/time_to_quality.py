"""Compares recipes by the time until dev reaches the best value of the triplet recipe, one after the other in one run.

    python benchmarks/time_to_quality.py --data examples/data/legal.jsonl --variant contrastive --variant triplet
    python benchmarks/time_to_quality.py --data ../shared/data/medquad.jsonl.gz --pairs 500

Time counts from the start of a run, the measurement of the base model included, to the end of an iteration. The last
line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path

os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

from samples import spread

from registry import resolve_base_model
from training import PrepareOptions, TrainingJob, adapt, prepare, read_pairs, read_prepared
from training.recipes.recipes import make_recipe

MEASURE = "mrr@5"
REFERENCE = "triplet"


def main() -> None:
    """Train, print the dev values and the ratio of the times."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="file of pairs")
    parser.add_argument("--pairs", type=int, default=None, help="number of pairs, spread evenly over the file")
    parser.add_argument("--variant", action="append", help="a recipe; by default contrastive and triplet")
    arguments = parser.parse_args()
    found: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        prepare(spread(read_pairs(arguments.data), arguments.pairs), Path(folder) / "data", PrepareOptions())
        data = read_prepared(Path(folder) / "data")
        for name in arguments.variant or ("contrastive", REFERENCE):
            job = TrainingJob(data, name, resolve_base_model(), make_recipe(name, {}))
            report = adapt(job, Path(folder) / name)
            tuned = report.iterations[1:]
            rest = report.seconds - sum(state.seconds or 0.0 for state in tuned)  # measuring the base, mining, the test
            ends = [rest + sum(state.seconds or 0.0 for state in tuned[: number + 1]) for number in range(len(tuned))]
            values = [state.dev[MEASURE] for state in tuned]
            found[name] = [(round(end, 1), round(value, 4)) for end, value in zip(ends, values, strict=True)]
            print(name, "base", round(report.iterations[0].dev[MEASURE], 4), found[name], flush=True)
    wanted = max(value for _, value in found[REFERENCE])
    times = {name: _reached(states, wanted) for name, states in found.items()}
    ratios = {name: round(time / times[REFERENCE], 3) for name, time in times.items() if time and times[REFERENCE]}
    print(json.dumps({"best_of_triplet": wanted, "seconds": times, "ratio": ratios, "dev": found}))


def _reached(states: list[tuple[float, float]], wanted: float) -> float | None:
    """When a recipe has that value or a better one; None if it never has."""
    return next((end for end, value in states if value >= wanted), None)


if __name__ == "__main__":
    main()
