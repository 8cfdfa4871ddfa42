"""Compares both recipes with the base model on question-answer pairs: retrieval quality and time.

    python benchmarks/retrieval_quality.py --data ../shared/data/medquad.jsonl.gz --pairs 1000

The last line is one JSON object with a key for every recipe, and the default recipe's numbers at the top.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

from rich.console import Console
from rich.table import Table
from samples import spread

from registry import resolve_base_model
from training import PrepareOptions, TrainingJob, adapt, prepare, read_pairs, read_prepared
from training.recipes.recipes import RECIPES, make_recipe
from training.reporting.report import TrainingReport
from training.retrieval.metrics import HEADLINE


def main() -> None:
    """Prepare, train with each recipe, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="question-answer pairs, as prepare reads them")
    parser.add_argument(
        "--pairs", type=int, default=None, help="number of pairs, spread evenly over the file; by default all"
    )
    parser.add_argument("--split", choices=("random", "grouped"), default="random", help="random: reference protocol")
    parser.add_argument("--recipe", choices=tuple(RECIPES), action="append", help="by default both")
    parser.add_argument("--option", action="append", default=[], help="an option of the recipe, like max_length=128")
    parser.add_argument("--base-model", default="all-MiniLM-L6-v2")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--device", default=None)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    pairs = spread(read_pairs(str(arguments.data)), arguments.pairs)
    with tempfile.TemporaryDirectory() as scratch:
        prepare(pairs, Path(scratch) / "data", PrepareOptions(split=arguments.split))
        reports = {
            name: adapt(
                TrainingJob(
                    read_prepared(Path(scratch) / "data"),
                    "benchmark",
                    resolve_base_model(arguments.base_model),
                    make_recipe(name, dict(_number(option) for option in arguments.option)),
                    seeds=(arguments.seed,),
                    device=arguments.device,
                ),
                Path(scratch) / name,
            )
            for name in arguments.recipe or RECIPES
        }
    _print(reports)


def _number(option: str) -> tuple[str, float | int]:
    name, _, value = option.partition("=")
    return name, json.loads(value)


def _print(reports: dict[str, TrainingReport]) -> None:
    first = next(iter(reports.values()))
    counts = first.dataset.counts
    console = Console(width=120)
    table = Table(title=f"{counts['pairs']} pairs, {counts['chunks']} chunks, {counts['test_queries']} test queries")
    for column in ("model", *HEADLINE, "chosen", "steps", "seconds"):
        table.add_column(column, justify="left" if column in ("model", "chosen") else "right")
    base = first.base_metrics["test"]
    table.add_row("base model", *(f"{base[name]:.4f}" for name in HEADLINE), "", "", "")
    for name, report in reports.items():
        adapted = report.adapted_metrics["test"]
        steps = sum(state.steps for state in report.iterations)
        values = [f"{adapted[metric]:.4f}" for metric in HEADLINE]
        table.add_row(name, *values, report.chosen, str(steps), f"{report.seconds:.0f}")
    console.print(table)
    for name, report in reports.items():
        for state in report.iterations:
            numbers = ", ".join(f"{metric} {state.dev[metric]:.4f}" for metric in HEADLINE)
            console.print(f"{name}, dev, {state.name}: {numbers}", highlight=False)
    console.print(f"{platform.processor() or platform.machine()}, {first.threads} threads, {first.device}")
    results = {name: _result(report) for name, report in reports.items()}
    print(json.dumps({**results[next(iter(results))], "recipes": results}))


def _result(report: TrainingReport) -> dict[str, Any]:
    sides = {"base": report.base_metrics["test"], "adapted": report.adapted_metrics["test"]}
    figures = {side: {metric: round(found[metric], 4) for metric in HEADLINE} for side, found in sides.items()}
    return {**figures, "seconds": report.seconds}


if __name__ == "__main__":
    main()
