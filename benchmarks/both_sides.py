"""Evaluates training variants in domain, on MedQuAD's test split, and out of domain, on sets of other questions.

    python benchmarks/both_sides.py --data ../shared/data --pairs 2000 --protocol held-out --out work/both-sides

Trains on MedQuAD. Measures on its test split, on MedicationQA, on every 7th pair of 10-K and policy questions, and with
--clinc also the accuracy of CLINC150 intents by a vote of the 5 nearest training queries. Prints each variant's seconds
and the seconds of its unavoidable parts, training steps and encoding. In a variant, `mix=FILE,FILE` mixes pairs in,
`bundled=false` leaves the package's questions out, and `recipe=` may also name a recipe of tried_recipes.py. To choose
between recipes, hold out whole sources as the dev split with --dev-source. The commands for all data:

    for protocol in random held-out; do
        python benchmarks/both_sides.py --data ../shared/data --protocol $protocol --seed 1 --seed 2 --seed 3 --clinc \\
            --out work/whole-$protocol
    done

A variant that is finished is not trained again, so a killed run can be continued. --plot FILE plots in-domain against
out-of-domain quality (needs matplotlib). The last line is one JSON object with a key for every variant.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

from intents import accuracy, read_intents
from rich.console import Console
from rich.table import Table
from samples import spread
from sentence_transformers import SentenceTransformerTrainer
from tried_recipes import TRIED

import training.retrieval.states
from registry import resolve_base_model
from registry.model_folders.base_models import DEFAULT_BASE_MODEL
from training import PreparedData, PrepareOptions, TrainingJob, adapt, prepare, read_pairs, read_prepared
from training.recipes.recipes import RECIPES, make_recipe
from training.reporting.report import TrainingReport
from training.retrieval.encoding import load_model
from training.sources.pairs import Pairs
from training.tables.column_filter import ColumnFilter
from training.tables.options import ReadOptions

MEASURES = ("mrr@5", "recall@5")
SOURCES = ("NIHSeniorHealth", "CDC", "NHLBI")
OTHERS = {"medicationqa": 1, "finance10k": 7, "policyqa": 7}
"""Sets for evaluation only; a value of 7 takes every 7th pair."""
UNCUT = 1_000_000
BASE = "base model"
PROGRESS = ("interpolation_weight", "steps", "seconds")
VARIANTS = (
    "contrastive",
    "triplet recipe=triplet",
    "specialist min_gain_kept=1.0",
    "lora lora=16",
    "queries-only freeze_documents=true",
    "dims dims=[384,256,128]",
)


def main() -> None:
    """Prepare, train every variant, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--out", type=Path, required=True, help="working folder")
    parser.add_argument("--pairs", type=int, default=None, help="number of MedQuAD pairs; by default all")
    parser.add_argument("--protocol", choices=("random", "held-out"), default="held-out")
    parser.add_argument("--variant", action="append", help=f"'NAME number=value ...'; by default {VARIANTS}")
    parser.add_argument("--dev-source", action="append", help="repeatable; by default all sources")
    parser.add_argument(
        "--other", action="append", help=f"repeatable: one of {', '.join(OTHERS)}, or a file of pairs; by default those"
    )
    parser.add_argument("--seed", type=int, action="append", help="repeatable; by default 42")
    parser.add_argument("--clinc", action="store_true", help="also measure CLINC150 intents")
    parser.add_argument("--plot", type=Path, default=None, help="SVG or PNG file for the plot")
    parser.add_argument("--base-model", default=DEFAULT_BASE_MODEL)
    parser.add_argument("--device", default=None)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    RECIPES.update(TRIED)
    medquad, others = _prepare(arguments)
    results = {}
    for variant in arguments.variant or VARIANTS:
        name, *numbers = variant.split()
        results[name] = _train(name, numbers, medquad, others, arguments)
        if arguments.clinc:
            clinc = arguments.data / "clinc150.jsonl.gz"
            base = resolve_base_model(arguments.base_model).path
            results[name]["clinc150"] = [_accuracy(clinc, path) for path in (base, arguments.out / name)]
        _print(results)
    if arguments.plot:
        _plot(results, arguments.plot)
    print(json.dumps(results))


def _prepare(arguments: argparse.Namespace) -> tuple[PreparedData, dict[str, PreparedData]]:
    folder = arguments.out / "data"
    if not (folder / "medquad").exists():
        pairs = spread(
            read_pairs(str(arguments.data / "medquad.jsonl.gz"), ReadOptions(columns=("source",))), arguments.pairs
        )
        dev = (ColumnFilter("source", tuple(arguments.dev_source)),) if arguments.dev_source else ()
        held_out = PrepareOptions(hold_out=(ColumnFilter("source", SOURCES),), hold_out_dev=dev)
        prepare(pairs, folder / "medquad", PrepareOptions(split="random") if _random(arguments) else held_out)
    others = {Path(other).stem: other for other in arguments.other or OTHERS}
    for name, other in others.items():
        if not (folder / name).exists():
            pairs = read_pairs(str(arguments.data / f"{other}.jsonl.gz" if other in OTHERS else other))
            part = Pairs(pairs.source, pairs.pairs[:: OTHERS.get(other, 1)])
            prepare(part, folder / name, PrepareOptions(split="test", chunk_characters=UNCUT))
    return read_prepared(folder / "medquad"), {name: read_prepared(folder / name) for name in others}


def _random(arguments: argparse.Namespace) -> bool:
    return bool(arguments.protocol == "random")


def _train(
    name: str,
    numbers: Sequence[str],
    medquad: PreparedData,
    others: dict[str, PreparedData],
    arguments: argparse.Namespace,
) -> dict[str, Any]:
    out = arguments.out / name
    if not out.exists():
        options = _options(numbers)
        mixed = {
            Path(file).stem: _mixed(Path(file), arguments) for file in filter(None, options.pop("mix", "").split(","))
        }
        bundled = options.pop("bundled", True)
        recipe = make_recipe(options.pop("recipe", "contrastive"), options)
        base, seeds = resolve_base_model(arguments.base_model), arguments.seed or [42]
        with _watched() as spent:
            adapt(
                TrainingJob(
                    medquad,
                    name,
                    base,
                    recipe,
                    seeds=seeds,
                    extra_test_sets=others,
                    mixed=mixed,
                    without_bundled_questions=not bundled,
                    device=arguments.device,
                ),
                out,
            )
        out.with_suffix(".json").write_text(json.dumps({part: round(seconds, 1) for part, seconds in spent.items()}))
    report = TrainingReport.load(out)
    sets = {"medquad": report.evaluations["test"], **report.extra_test_sets}
    return {
        "options": report.options,
        "chosen": report.chosen,
        "steps": sum(state.steps for state in report.iterations),
        "seconds": report.seconds,
        "parts": json.loads(out.with_suffix(".json").read_text()),
        "dev": [
            {"mrr@5": round(state.dev[MEASURES[0]], 4), **state.model_dump(include=set(PROGRESS))}
            for state in report.iterations
        ],
        "sets": {
            name: {
                side: {measure: round(metrics[measure], 4) for measure in MEASURES}
                for side, metrics in (("base", found.base), ("adapted", found.adapted))
            }
            for name, found in sets.items()
        },
        "seeds": [
            {name: round(each[MEASURES[0]], 4) for name, each in {"medquad": seed.test, **seed.extra_test_sets}.items()}
            for seed in report.seeds
        ],
        "dims": {dims: round(found.adapted[MEASURES[0]], 4) for dims, found in report.dims.items()},
    }


def _mixed(file: Path, arguments: argparse.Namespace) -> PreparedData:
    folder = arguments.out / "data" / f"mixed-{file.stem}"
    if not folder.exists():
        prepare(read_pairs(str(file)), folder)
    return read_prepared(folder)


@contextmanager
def _watched() -> Iterator[Counter[str]]:
    """Count the seconds spent in training steps and in encoding, which every implementation needs."""
    spent: Counter[str] = Counter()

    def timed(part: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **options: Any) -> Any:
            started = time.monotonic()
            try:
                return call(*arguments, **options)
            finally:
                spent[part] += time.monotonic() - started

        return run

    steps = timed("training", SentenceTransformerTrainer.train)
    with (
        mock.patch.object(SentenceTransformerTrainer, "train", lambda *given, **options: steps(*given, **options)),
        mock.patch.object(training.retrieval.states, "encode", timed("encoding", training.retrieval.states.encode)),
    ):
        yield spent


def _options(numbers: Sequence[str]) -> dict[str, Any]:
    """Parse options like ``lora=16`` and ``dims=[384,128]``: values are JSON, or else plain text."""
    options: dict[str, Any] = {}
    for number in numbers:
        key, _, text = number.partition("=")
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        options[key] = tuple(value) if isinstance(value, list) else value
    return options


@cache
def _accuracy(file: Path, folder: Path) -> float:
    """Accuracy of the intents of CLINC150's in-scope test queries by a vote of the 5 nearest training queries."""
    model = load_model(folder)
    known, asked = read_intents(file)
    near, queries = (model.encode_query(list(part), normalize_embeddings=True) for part in (known.texts, asked.texts))
    return accuracy(known, asked, near, queries)


def _print(results: dict[str, dict[str, Any]]) -> None:
    table = Table(title=f"{MEASURES[0]}, base and adapted")
    for column in ("variant", *next(iter(results.values()))["sets"], "chosen", "steps", "seconds", "of parts"):
        table.add_column(column)
    for name, result in results.items():
        cells = [
            f"{sides['base'][MEASURES[0]]:.4f} {sides['adapted'][MEASURES[0]]:.4f}" for sides in result["sets"].values()
        ]
        ratio = result["seconds"] / sum(result["parts"].values())
        table.add_row(name, *cells, result["chosen"], str(result["steps"]), f"{result['seconds']:.0f}", f"{ratio:.2f}")
    Console(width=160).print(table)


def _plot(results: dict[str, dict[str, Any]], file: Path) -> None:
    """Plot MedicationQA's MRR@5 against the in-domain MRR@5: up and to the right is better."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 5))
    first = next(iter(results.values()))["sets"]
    points = {BASE: [first[name]["base"][MEASURES[0]] for name in ("medquad", "medicationqa")]}
    points |= {
        name: [result["sets"][one]["adapted"][MEASURES[0]] for one in ("medquad", "medicationqa")]
        for name, result in results.items()
    }
    for name, (own, other) in points.items():
        axes.scatter(own, other)
        axes.annotate(name, (own, other), textcoords="offset points", xytext=(5, 4))
    axes.axhline(points[BASE][1], linewidth=0.5)
    axes.axvline(points[BASE][0], linewidth=0.5)
    axes.set(xlabel="MedQuAD test MRR@5", ylabel="MedicationQA MRR@5")
    figure.savefig(file, bbox_inches="tight")


if __name__ == "__main__":
    main()
