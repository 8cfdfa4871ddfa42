"""Compares one model for both uses of a domain, finding answers and comparing queries, with one model for each use.

    OMP_NUM_THREADS=1 python benchmarks/mixed_kinds.py --data ../shared/data --out work/mixed-kinds

The domain is finance: questions and answers of examples/data/finance.jsonl, and labelled texts of BANKING77, 10 per
intent. Four adapters of rank 16 are trained with one recipe: on the pairs, on the labels, on both with equal batch
shares, and on both with three quarters of the batches for the pairs. The figures are MRR@5 on the pairs' test split and
on every 7th 10-K question, and the accuracy of the intents of BANKING77's test texts by a vote of the 5 nearest.
Trained models are kept in --out. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
from pathlib import Path

os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

from rich.console import Console
from rich.table import Table
from sentence_transformers import SentenceTransformer
from strategy_tasks import EVERY, FINANCE, Given, Trial, banking_alone
from voting import vote

from registry import resolve_base_model
from training import Contrastive, PrepareOptions, TrainingJob, adapt, prepare, read_pairs
from training.reporting.report import TrainingReport
from training.retrieval.encoding import load_model
from training.sources.pairs import Pairs

PAIRS, LABELS, FILINGS = "pairs", "labels", "filings"
BASE = "base model"
MIXED = {"both": 0.5, "both, more pairs": 0.75}
"""The batch share of the pairs in each mixture."""
RECIPE = Contrastive(lora=16, min_gain_kept=1.0)
MEASURES = ("pairs_mrr@5", "filings_mrr@5", "intent_accuracy")


def main() -> None:
    """Train what is missing, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--out", type=Path, required=True, help="working folder")
    parser.add_argument("--examples", type=int, default=10, help="labelled texts per intent")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    given = Given(arguments.data, arguments.out / "data", arguments.examples, "test", whole_test=True)
    trial = banking_alone(given)
    pairs = given.kept(PAIRS, lambda out: prepare(_pairs(FINANCE), out))
    filings = given.kept(
        FILINGS,
        lambda out: prepare(_pairs(given.sources / "finance10k.jsonl.gz", EVERY), out, PrepareOptions(split="test")),
    )
    (labels,) = trial.data.values()
    sets = {PAIRS: pairs, LABELS: labels}
    results = {}
    for name, shares in {PAIRS: None, LABELS: None, **MIXED}.items():
        model = arguments.out / name.replace(", ", "-").replace(" ", "-")
        if not model.exists():
            data = sets if shares else sets[name]
            also = {FILINGS: filings, **({} if shares or name == PAIRS else {PAIRS: pairs})}
            adapt(
                TrainingJob(
                    data,
                    "finance",
                    resolve_base_model(),
                    RECIPE,
                    batch_shares=shares and {PAIRS: shares},
                    extra_test_sets=also,
                ),
                model,
            )
        results |= _told(name, model, trial)
    _print(results)
    print(json.dumps(results))


def _pairs(source: Path, every: int = 1) -> Pairs:
    """Every ``every``-th pair of a file."""
    found = read_pairs(str(source))
    return Pairs(found.source, found.pairs[::every])


def _told(name: str, model: Path, trial: Trial) -> dict[str, dict[str, float]]:
    """The figures of a model and of the base model."""
    report = TrainingReport.load(model)
    pairs = report.evaluations["test"] if name == PAIRS else report.extra_test_sets[PAIRS]
    filings = report.extra_test_sets[FILINGS]
    sides = {BASE: "base", name: "adapted"}
    encoders = {BASE: load_model(resolve_base_model().path), name: load_model(model)}
    return {
        row: {
            "pairs_mrr@5": round(getattr(pairs, side)["mrr@5"], 4),
            "filings_mrr@5": round(getattr(filings, side)["mrr@5"], 4),
            "intent_accuracy": round(_accuracy(encoders[row], trial), 4),
            "seconds": 0.0 if row == BASE else report.seconds,
        }
        for row, side in sides.items()
    }


def _accuracy(model: SentenceTransformer, trial: Trial) -> float:
    asked = [question for question in trial.task.questions if question.relevant]
    known = [(text, route.name) for route in trial.task.routes for text in route.utterances]
    queries, texts = (
        model.encode_query(each, normalize_embeddings=True, show_progress_bar=False)
        for each in ([question.text for question in asked], [text for text, _ in known])
    )
    voted = vote(queries, texts, [name for _, name in known])
    return sum(name in question.relevant for name, question in zip(voted, asked, strict=True)) / len(asked)


def _print(results: dict[str, dict[str, float]]) -> None:
    table = Table("trained on", *MEASURES, "seconds")
    for name, values in results.items():
        table.add_row(name, *(f"{values[measure]:.4f}" for measure in MEASURES), f"{values['seconds']:.0f}")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
