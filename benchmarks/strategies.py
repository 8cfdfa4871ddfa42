"""Which way serves many domains best: one encoder, one adapted to all domains, two-stage routing, or an ensemble.

    OMP_NUM_THREADS=1 python benchmarks/strategies.py --data ../shared/data --out work/strategies

Three tasks: `clinc`, CLINC150's intents in ten domains and queries of none; `banking`, BANKING77 as an eleventh domain;
`retrieval`, the answers to medical, finance and policy questions in one pool. A model of every domain, and one of all
together, are trained from all-MiniLM-L6-v2 by one recipe, as adapters or with --whole as whole models. Thresholds are
fitted to the validation queries; --part dev measures on those. The size of a batch was chosen by the validation part.
`clinc` also tells the share of in-scope queries whose intent most of the 5 nearest training queries have. Published
texts that stand twice count once, so 4,498 of 4,500 in-scope test queries are asked.

What is prepared or trained is kept in --out, so that a killed run goes on. --examples N takes N texts of an intent and
20 N pairs of a domain: a rehearsal. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

if TYPE_CHECKING:  # each way is measured in a process that imports this file, and whose memory counts
    from router_plugin.comparison.strategies import Comparison

TASK_NAMES = ("clinc", "banking", "retrieval")


def main() -> None:
    """Train what is missing, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--out", type=Path, required=True, help="working folder")
    parser.add_argument("--task", nargs="+", choices=TASK_NAMES, default=TASK_NAMES)
    parser.add_argument("--examples", type=int, default=None, help="texts of an intent; by default all")
    parser.add_argument("--whole", action="store_true", help="whole models instead of adapters")
    parser.add_argument("--way", nargs="+", default=None, help="some of the ways; by default all")
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

    from router_plugin.comparison.strategies import WAYS, compare

    work = arguments.out / f"{'whole' if arguments.whole else 'adapters'}-{arguments.examples or 'all'}"
    given = Given(arguments.data, work / "data", arguments.examples, arguments.part)
    trial = TASKS[name](given)
    trained = models(name, given, trial.data, arguments.whole)
    ways = arguments.way or WAYS
    found = compare(trial.task, trained.registry, multi_registry=trained.multi_registry, multi_domain=ALL, ways=ways)
    voted = votes(trial.task, Ways(trained)) if name == "clinc" else {}
    _print(name, found, voted, trained.training)
    return {**found.to_dict(), "votes": voted, "training": trained.training}


def _print(name: str, found: Comparison, voted: dict[str, float], training: dict[str, dict[str, Any]]) -> None:
    from router_plugin.cli.printing import print_table
    from router_plugin.comparison.page import COLUMNS, by_domain, rows

    ways = [way.way for way in found.ways]
    print_table(name, ("figure", *ways), list(zip(COLUMNS[1:], *(row[1:] for row in rows(found)), strict=True)))
    columns, domains = by_domain(found)
    print_table(f"{name}: accuracy and MRR@5 by domain", columns, domains)
    figures = ("train_queries", "steps", "seconds", "megabytes", "chosen")
    trained = [(domain, *(told[figure] for figure in figures)) for domain, told in training.items()]
    print_table(f"{name}: what a model more costs", ("model", *figures), trained)
    if voted:
        print_table(f"{name}: accuracy by a vote of the 5 nearest", tuple(voted), [tuple(voted.values())])


if __name__ == "__main__":
    main()
