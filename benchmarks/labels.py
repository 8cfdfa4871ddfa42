"""Measures labelled texts as training data: accuracy of intents by a vote of the 5 nearest, with few examples and all.

    OMP_NUM_THREADS=1 python benchmarks/labels.py --data ../shared/data --out work/strategies

CLINC150 has one model per domain and one model of all domains; BANKING77 has one model. `multi` is one model of all
texts as one set. `apart` is one model that `train` makes from the ten sets, kept separate. `--examples N` takes N
training and validation texts per intent; the test part is always complete. Out-of-scope queries are those of CLINC150.
Trained models are kept in --out. With all examples, strategies.py uses the same models, so neither trains them twice.
The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

from rich.console import Console
from rich.table import Table
from strategy_models import ALL, Models, models, trained
from strategy_tasks import Given, Trial, banking_alone, clinc
from strategy_votes import Ways, outside, votes

SETS = {"clinc150": clinc, "banking77": banking_alone}
APART = "apart"
WAYS = ("base", "base, domain given", "two_stage", "ensemble", "oracle", "multi", APART)


def main() -> None:
    """Train what is missing, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--out", type=Path, required=True, help="working folder")
    parser.add_argument("--set", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--examples", nargs="+", default=["5", "10", "all"], help="numbers, or all")
    parser.add_argument("--apart", nargs="*", default=["5", "10"], help="for `apart`: numbers, or all")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    results = {
        name: {examples: _measured(name, examples, arguments) for examples in arguments.examples}
        for name in arguments.set
    }
    _print(results)
    print(json.dumps(results))


def _measured(name: str, examples: str, arguments: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Accuracy and out-of-scope AUROC, by strategy."""
    count = None if examples == "all" else int(examples)
    work = arguments.out / ("adapters-all" if count is None else f"labels-{count}")
    given = Given(arguments.data, work / "data", count, "test", whole_test=True)
    trial = SETS[name](given)
    if len(trial.data) == 1:
        return _alone(name, trial, work)
    found = _of(trial, models("clinc", given, trial.data, whole=False))
    if examples in arguments.apart:
        apart = work / "registries" / f"clinc-{APART}"
        trained(trial.data, ALL, work / "models" / f"{APART}-clinc", apart, whole=False)
        other = _of(trial, Models(str(work / "registries" / "clinc"), str(apart), {}))
        found = {measure: {**values, APART: other[measure]["multi"]} for measure, values in found.items()}
    return found


def _alone(name: str, trial: Trial, work: Path) -> dict[str, dict[str, float]]:
    """The same for a single domain with a single model."""
    registry = work / "registries" / name
    trained(trial.data[name], name, work / "models" / name, registry, whole=False)
    found = _of(trial, Models(str(registry), None, {}))
    return {measure: {way: values[way] for way in ("base", "two_stage")} for measure, values in found.items()}


def _of(trial: Trial, served: Models) -> dict[str, dict[str, float]]:
    ways = Ways(served)
    return {"accuracy": votes(trial.task, ways), "out_of_scope_auroc": outside(trial.task, ways)}


def _print(results: dict[str, dict[str, Any]]) -> None:
    for name, found in results.items():
        table = Table("way", *(f"{examples} {measure}" for examples, each in found.items() for measure in each))
        for way in WAYS:
            cells = [str(values.get(way, "")) for each in found.values() for values in each.values()]
            if any(cells):
                table.add_row(way, *cells)
        Console(width=140).print(name, table)


if __name__ == "__main__":
    main()
