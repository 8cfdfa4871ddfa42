"""Averages the weights of several trained variants, and measures the mean on every test set of both_sides.py.

    OMP_NUM_THREADS=1 python benchmarks/soup.py --out work/tried --model contrastive --model mixed --model pull

A uniform soup (Wortsman et al., 2022, "Model soups") is the mean of models that started from the same weights and were
trained differently. --out is the working folder of both_sides.py; --model names a variant in it, which must not be an
adapter. Each set is measured with the base model, with each variant and with their mean. The last line is one JSON
object.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

import numpy as np
from rich.console import Console
from rich.table import Table
from sentence_transformers import SentenceTransformer

from registry import resolve_base_model
from registry.gates.significance import compare
from registry.model_folders.base_models import DEFAULT_BASE_MODEL
from training import PreparedData, read_prepared
from training.recipes.interpolation import average
from training.reporting.report import TrainingReport
from training.retrieval.encoding import TorchBlocks, load_model
from training.retrieval.metrics import query_metrics
from training.retrieval.ranking import ranking
from training.retrieval.texts import Texts

MEASURE = "mrr@5"
SOUP = "soup"


def main() -> None:
    """Average, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="working folder of both_sides.py")
    parser.add_argument("--model", action="append", required=True, help="a variant; repeatable")
    parser.add_argument("--base-model", default=DEFAULT_BASE_MODEL)
    arguments = parser.parse_args()
    folders = sorted(path.parent for path in (arguments.out / "data").glob("*/manifest.json"))
    sets = {folder.name: read_prepared(folder) for folder in folders}
    sets = {name: data for name, data in sets.items() if data.qrels["test"]}
    base = load_model(resolve_base_model(arguments.base_model).path)
    mean = average([load_model(arguments.out / name) for name in arguments.model])
    reports = {name: TrainingReport.load(arguments.out / name) for name in arguments.model}
    results = {name: _of_set(name, data, base, mean, reports) for name, data in sets.items()}
    _print(results)
    print(json.dumps(results))


def _of_set(
    name: str,
    data: PreparedData,
    base: SentenceTransformer,
    mean: SentenceTransformer,
    reports: dict[str, TrainingReport],
) -> dict[str, float]:
    """MRR@5 of all models on one set, and the interval of the soup's gain."""
    texts = Texts(data)
    before, after = (_reciprocal_ranks(model, texts) for model in (base, mean))
    gain = compare(before, after, seed=42)
    singles = {
        variant: report.evaluations[name if name in report.extra_test_sets else "test"].adapted
        for variant, report in reports.items()
        if name in report.extra_test_sets or report.dataset.fingerprint == data.fingerprint
    }
    return {
        "base model": round(float(before.mean()), 4),
        **{variant: round(metrics[MEASURE], 4) for variant, metrics in singles.items()},
        SOUP: round(float(after.mean()), 4),
        "low": round(gain.low, 4),
        "high": round(gain.high, 4),
    }


def _reciprocal_ranks(model: SentenceTransformer, texts: Texts) -> np.ndarray:
    blocks = TorchBlocks(model)
    queries, documents = (
        blocks.encode(texts.queries["test"], "query", 64),
        blocks.encode(texts.documents, "document", 64),
    )
    found = ranking(queries, documents, 10, left_out=texts.own["test"])
    return query_metrics(found, texts.relevant["test"])[MEASURE]


def _print(results: dict[str, dict[str, float]]) -> None:
    columns = list(dict.fromkeys(name for values in results.values() for name in values))
    table = Table("test set", *columns)
    for name, values in results.items():
        table.add_row(name, *(f"{values[column]:.4f}" if column in values else "" for column in columns))
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
