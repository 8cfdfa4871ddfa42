"""Measures trained variants at every interpolation weight: on dev queries of both sides, and on test sets.

    python benchmarks/weights.py --out work/random --model lora-s1 --model lora-s1+lora-s2+lora-s3 \\
        --clinc ../shared/data/clinc150.jsonl.gz

Weight 0 is the base model, and weight 1 the trained model before `adapt` interpolated it. --out is the working folder
of both_sides.py; --model names a variant in it, or several joined by `+`: then their changes to the base model's
weights are averaged, which for adapters are the products of their matrices. Not for variants with `freeze_documents`,
and not for a base model with prompts.

Measured are MedQuAD's dev and test queries, the dev queries of every mixed set, the other test sets, and with --clinc
the accuracy of CLINC150 intents. Intervals are of the difference from the base model. The weight "by dev" is that of
the largest gain on MedQuAD's dev queries at which no mixed set loses on its dev queries. Texts are tokenized once; on a
GPU they are encoded in half precision. With --set, no weight is chosen. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

import numpy as np
import torch
from intents import accuracy, read_intents
from numpy.typing import NDArray
from peft.tuners.lora import Linear as LoraLinear
from rich.console import Console
from rich.table import Table
from sentence_transformers import SentenceTransformer
from torch import Tensor
from torch.nn import functional

from registry import BaseModelFiles, resolve_base_model
from registry.model_folders.adapters import has_adapter
from registry.names import DEFAULT_BASE_MODEL
from training import PreparedData, read_prepared
from training.reporting.report import TrainingReport
from training.retrieval.encoding import load_model, resolve_device
from training.retrieval.metrics import query_metrics
from training.retrieval.ranking import ranking
from training.retrieval.significance import compare
from training.retrieval.texts import Texts

MEASURE, RECALL = "mrr@5", "recall@5"
HOME, MIXED, CLINC = "medquad", "mixed-", "clinc150"
BATCH = 256

Changes = dict[str, Tensor]
"""What training added to the base model's weights, by their name."""
Metrics = dict[str, NDArray[np.float64]]


def main() -> None:
    """Load, measure every weight, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="working folder of both_sides.py")
    parser.add_argument("--model", action="append", required=True, help="a variant, or several joined by +; repeatable")
    parser.add_argument("--set", action="append", help="a prepared set; repeatable; by default all")
    parser.add_argument("--step", type=float, default=0.1, help="between weights")
    parser.add_argument("--clinc", type=Path, default=None, help="clinc150.jsonl.gz")
    parser.add_argument("--base-model", default=DEFAULT_BASE_MODEL)
    parser.add_argument("--device", default=None)
    arguments = parser.parse_args()
    files, device = resolve_base_model(arguments.base_model), resolve_device(arguments.device)
    model = load_model(files.path, device)
    start = {name: value.clone() for name, value in model.state_dict().items()}
    folders = sorted(path.parent for path in (arguments.out / "data").glob("*/manifest.json"))
    chosen = [folder for folder in folders if folder.name in (arguments.set or [folder.name])]
    measures = Measures(model, chosen, arguments.clinc)
    base, count = measures.of(model), round(1 / arguments.step)
    results = {}
    for variant in arguments.model:
        changes = [_changes(arguments.out / name, files, start) for name in variant.split("+")]
        rows = {0.0: base}
        for weight in (number / count for number in range(1, count + 1)):
            _move(model, start, changes, weight)
            rows[weight] = measures.of(model)
        by_dev = None if arguments.set else _by_dev(rows)
        results[variant] = {"by_dev": by_dev, "weights": rows}
        _print(variant, rows, by_dev)
    print(json.dumps(results))


class Tokenized:
    """Texts that are tokenized once, in batches of similar length."""

    def __init__(self, model: SentenceTransformer, texts: Sequence[str]) -> None:
        self._order = np.argsort([-len(text) for text in texts], kind="stable")
        cuts = range(0, len(texts), BATCH)
        batches = [[texts[row] for row in self._order[start : start + BATCH]] for start in cuts]
        self._batches = [model.preprocess(batch) for batch in batches]

    def encoded(self, model: SentenceTransformer) -> NDArray[np.float32]:
        """Unit vectors in the order of the texts, ``(n, d)``."""
        kind = model.device.type
        with torch.inference_mode(), torch.autocast(kind, torch.float16, enabled=kind == "cuda"):
            found = [
                functional.normalize(model(_on(model.device, batch))["sentence_embedding"].float(), dim=-1)
                for batch in self._batches
            ]
            vectors = torch.cat(found).cpu().numpy()
        unsorted: NDArray[np.float32] = np.empty_like(vectors)
        unsorted[self._order] = vectors
        return unsorted


def _on(device: torch.device, batch: dict[str, Any]) -> dict[str, Any]:
    """A copy, since a model writes into its input."""
    return {name: value.to(device) if isinstance(value, Tensor) else value for name, value in batch.items()}


class PreparedSet:
    """A prepared set, tokenized: its documents, and the queries of the splits that are measured."""

    def __init__(self, model: SentenceTransformer, data: PreparedData, splits: Sequence[str]) -> None:
        self._texts = Texts(data)
        self._documents = Tokenized(model, self._texts.documents)
        self._queries = {split: Tokenized(model, self._texts.queries[split]) for split in splits}

    def metrics(self, model: SentenceTransformer) -> dict[str, Metrics]:
        """Metrics of every query, by split."""
        documents, texts, device = self._documents.encoded(model), self._texts, str(model.device)
        return {
            split: query_metrics(
                ranking(queries.encoded(model), documents, 10, device, texts.own[split]), texts.relevant[split]
            )
            for split, queries in self._queries.items()
        }


class Intents:
    """CLINC150's intents, tokenized."""

    def __init__(self, model: SentenceTransformer, file: Path) -> None:
        self._known, self._asked = read_intents(file)
        self._near, self._queries = Tokenized(model, self._known.texts), Tokenized(model, self._asked.texts)

    def accuracy(self, model: SentenceTransformer) -> float:
        """Of a vote of the 5 nearest training queries."""
        return accuracy(self._known, self._asked, self._near.encoded(model), self._queries.encoded(model))


class Measures:
    """All that is measured of a model, with differences from the model that was measured first."""

    def __init__(self, model: SentenceTransformer, folders: Sequence[Path], clinc: Path | None) -> None:
        """
        Args:
            model: the base model.
            folders: of prepared sets.
            clinc: file of CLINC150, if it is measured.
        """
        self._sets = {
            folder.name: PreparedSet(model, read_prepared(folder), _splits(folder.name)) for folder in folders
        }
        self._intents = Intents(model, clinc) if clinc else None
        self._before = self._metrics(model)

    def of(self, model: SentenceTransformer) -> dict[str, dict[str, float]]:
        """MRR@5 and Recall@5 of every set and split, with the interval of the first's difference from the base."""
        found = {name: _summary(metrics, self._before[name]) for name, metrics in self._metrics(model).items()}
        return found | ({CLINC: {MEASURE: self._intents.accuracy(model)}} if self._intents else {})

    def _metrics(self, model: SentenceTransformer) -> dict[str, Metrics]:
        return {
            f"{name} {split}": metrics
            for name, each in self._sets.items()
            for split, metrics in each.metrics(model).items()
        }


def _splits(name: str) -> tuple[str, ...]:
    """What is measured of a set: of one that was mixed in, only what may be used to choose."""
    return ("dev", "test") if name == HOME else ("dev",) if name.startswith(MIXED) else ("test",)


def _summary(found: Metrics, before: Metrics) -> dict[str, float]:
    gain = compare(before[MEASURE], found[MEASURE], seed=42)
    values = {name: float(found[name].mean()) for name in (MEASURE, RECALL)} | {"low": gain.low, "high": gain.high}
    return {name: round(value, 4) for name, value in values.items()}


def _changes(folder: Path, base: BaseModelFiles, start: Changes) -> Changes:
    """What training added to the weights, before they were interpolated.

    Raises:
        SystemExit: the base model was the best on dev.
    """
    report = TrainingReport.load(folder)
    weight = next(state.interpolation_weight for state in report.iterations if state.name == report.chosen)
    if not weight:
        raise SystemExit(f"{folder}: no trained model was chosen")
    model = load_model(folder, str(next(iter(start.values())).device), base=base)
    return {name: change / weight for name, change in _differences(model, start)}


def _differences(model: SentenceTransformer, start: Changes) -> Iterator[tuple[str, Tensor]]:
    """The difference from the base model's weights: of an adapter, the product of its matrices."""
    if has_adapter(model):
        for name, module in model.named_modules():
            if isinstance(module, LoraLinear):
                yield f"{name}.weight", module.get_delta_weight(module.active_adapters[0]).detach()
        return
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            yield name, value - start[name]


def _move(model: SentenceTransformer, start: Changes, changes: Sequence[Changes], weight: float) -> None:
    """Give a model the base model's weights plus so much of the mean change."""
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if name in changes[0]:
                value.copy_(start[name] + weight * torch.stack([each[name] for each in changes]).mean(0))


def _by_dev(rows: dict[float, dict[str, dict[str, float]]]) -> float:
    """The weight with the best dev value at home at which no mixed set's dev value is below the base model's."""
    guards = [name for name in rows[0.0] if name.startswith(MIXED)]
    kept = [
        weight for weight, row in rows.items() if all(row[name][MEASURE] >= rows[0.0][name][MEASURE] for name in guards)
    ]
    return max(kept, key=lambda weight: rows[weight][f"{HOME} dev"][MEASURE])


def _print(variant: str, rows: dict[float, dict[str, dict[str, float]]], by_dev: float | None) -> None:
    table = Table("weight", *rows[0.0], title=f"{MEASURE} of {variant}; weight by dev: {by_dev}")
    for weight, row in rows.items():
        table.add_row(str(weight), *(f"{values[MEASURE]:.4f}" for values in row.values()))
    Console(width=180).print(table)


if __name__ == "__main__":
    main()
