"""Compares strategies for serving several domains: one encoder, one adapted to all domains, two stages, an ensemble.

    OMP_NUM_THREADS=1 python benchmarks/strategies.py --data ../shared/data --out work/strategies

There are three tasks: `clinc`, CLINC150's intents in ten domains and its out-of-scope queries; `banking`, the same with
BANKING77 as an eleventh domain; and `retrieval`, the answers to medical, finance and policy questions in one
collection. One model per domain and one of all domains are trained from all-MiniLM-L6-v2 with one recipe, as adapters,
or with --whole as whole models. Thresholds are tuned on the validation queries; --part dev measures on those. The batch
size was chosen on the validation part. `clinc` also prints the accuracy of intents by a vote of the 5 nearest training
queries. Duplicates among the published texts are used once, so 4,498 of 4,500 in-scope test queries are left.

Prepared data and trained models are kept in --out, so that a killed run can be continued. --examples N takes N texts
per intent and 20 N pairs per domain, for a trial run. Without `multi` among the --configuration, the model of all
domains is not trained. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

if TYPE_CHECKING:  # each strategy is measured in a process that imports this file, and whose memory is measured
    from router_plugin.comparison.strategies import Comparison

TASK_NAMES = ("clinc", "banking", "retrieval", "hwu64")


def main() -> None:
    """Train what is missing, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--out", type=Path, required=True, help="working folder")
    parser.add_argument("--task", nargs="+", choices=TASK_NAMES, default=TASK_NAMES)
    parser.add_argument("--examples", type=int, default=None, help="texts per intent; by default all")
    parser.add_argument("--whole", action="store_true", help="whole models instead of adapters")
    parser.add_argument("--configuration", nargs="+", default=None, help="some of the configurations; by default all")
    parser.add_argument("--part", choices=("dev", "test"), default="test")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    results = {name: _measured(name, arguments) for name in arguments.task}
    print(json.dumps({"part": arguments.part, "whole": arguments.whole, "examples": arguments.examples, **results}))


def _measured(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Every figure of a task."""
    from strategy_models import ALL, models
    from strategy_tasks import TASKS, Given
    from strategy_votes import Ways, votes

    from router_plugin.comparison.strategies import CONFIGURATIONS, compare

    work = arguments.out / f"{'whole' if arguments.whole else 'adapters'}-{arguments.examples or 'all'}"
    given = Given(arguments.data, work / "data", arguments.examples, arguments.part)
    trial = TASKS[name](given)
    configurations = arguments.configuration or CONFIGURATIONS
    trained = models(name, given, trial.data, arguments.whole, "multi" in configurations)
    found = compare(
        trial.task,
        trained.registry,
        multi=ALL if trained.multi_registry else None,
        multi_registry=trained.multi_registry,
        configurations=configurations,
    )
    voted = votes(trial.task, Ways(trained)) if name == "clinc" and trained.multi_registry else {}
    _print(name, found, voted, trained.training)
    return {**found.to_dict(), "votes": voted, "training": trained.training}


def _print(name: str, found: Comparison, voted: dict[str, float], training: dict[str, dict[str, Any]]) -> None:
    from router_plugin.cli.printing import print_table
    from router_plugin.comparison.page import COLUMNS, by_domain, rows

    names = [each.configuration for each in found.configurations]
    print_table(name, ("figure", *names), list(zip(COLUMNS[1:], *(row[1:] for row in rows(found)), strict=True)))
    columns, domains = by_domain(found)
    print_table(f"{name}: accuracy and MRR@5 by domain", columns, domains)
    figures = ("train_queries", "steps", "seconds", "megabytes", "chosen")
    trained = [(domain, *(told[figure] for figure in figures)) for domain, told in training.items()]
    print_table(f"{name}: cost of each model", ("model", *figures), trained)
    if voted:
        print_table(f"{name}: accuracy by a vote of the 5 nearest", tuple(voted), [tuple(voted.values())])


if __name__ == "__main__":
    main()
