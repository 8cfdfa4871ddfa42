"""Compares each runtime with PyTorch: time of a query and of a batch, and MRR@5 on the dev split of MedQuAD.

    OMP_NUM_THREADS=1 python benchmarks/encoders.py --data ../shared/data --threads 1

All runtimes take turns on every text of the dev split, so that other work on the machine affects all of them equally.
The ratio is that of the medians. `encode` is SentenceTransformer's method; `module` is the bare PyTorch module on the
same tokens. Batches hold 64 passages of the corpus. The variants are made from all-MiniLM-L6-v2 without adaptation; the
int8 variants are calibrated on training texts. `pass` says whether `domain-router variants` would keep a variant. The
last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from samples import spread

from registry import resolve_base_model
from registry.model_folders.compiled import CompiledModel
from registry.model_folders.exporting import export
from registry.model_folders.variants import BACKENDS
from training import PrepareOptions, prepare, read_pairs, read_prepared
from training.reporting.verdicts import MAX_SHORTFALL
from training.retrieval.encoding import TorchBlocks, load_model
from training.retrieval.metrics import retrieval_metrics
from training.retrieval.ranking import ranking
from training.retrieval.texts import Texts

BATCH = 64
BATCHES = 6
Encode = Callable[[Sequence[str], str], Any]


def main() -> None:
    """Export, take turns, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--pairs", type=int, default=1000, help="number of MedQuAD pairs, spread over the file")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as scratch:
        texts = _texts(arguments, Path(scratch))
        encoders, sizes = _encoders(texts, arguments.threads, Path(scratch))
        results = {name: {"megabytes": size} for name, size in sizes.items()}
        queries, documents = texts.queries["dev"], list(texts.documents)
        passages = documents[: BATCH * BATCHES]
        batches = [passages[start : start + BATCH] for start in range(0, len(passages), BATCH)]
        for what, kind, inputs in (
            ("query", "query", [[query] for query in queries]),
            ("batch", "document", batches),
        ):
            for name, milliseconds in _in_turns(encoders, inputs, kind).items():
                results[name][f"{what}_ms"] = milliseconds
        for name, encode in encoders.items():
            vectors = encode(texts.queries["dev"], "query"), encode(documents, "document")
            metrics = retrieval_metrics(ranking(*vectors, 100, left_out=texts.own["dev"]), texts.relevant["dev"])
            results[name]["dev_mrr@5"] = round(metrics["mrr@5"], 4)
    _print(results)
    print(json.dumps(results))


def _texts(arguments: argparse.Namespace, scratch: Path) -> Texts:
    pairs = spread(read_pairs(str(arguments.data / "medquad.jsonl.gz")), arguments.pairs)
    prepare(pairs, scratch / "data", PrepareOptions())
    return Texts(read_prepared(scratch / "data"))


def _encoders(texts: Texts, threads: int, scratch: Path) -> tuple[dict[str, Encode], dict[str, float]]:
    """Each runtime's encoder, and the megabytes of its model on disk."""
    base = resolve_base_model()
    model = load_model(base.path, "cpu").eval()
    blocks = TorchBlocks(model)
    encoders: dict[str, Encode] = {
        "torch encode": lambda inputs, kind: blocks.encode(inputs, kind, BATCH),  # type: ignore[arg-type]
        "torch module": lambda inputs, kind: _module(model, inputs),
    }
    whole = round((base.path / "model.safetensors").stat().st_size / 1e6, 1)
    sizes = dict.fromkeys(encoders, whole)
    for backend in BACKENDS:
        folder = scratch / backend
        folder.mkdir()
        export(model, folder, backend, [*texts.queries["train"], *texts.documents])
        compiled = CompiledModel(folder, threads)
        encoders[backend] = lambda inputs, kind, compiled=compiled: compiled.encode(inputs, kind, BATCH)
        sizes[backend] = round(compiled.nbytes / 1e6, 1)
    return encoders, sizes


def _module(model: Any, inputs: Sequence[str]) -> np.ndarray:
    made = []
    for start in range(0, len(inputs), BATCH):
        with torch.inference_mode():
            features = model(model.preprocess(list(inputs[start : start + BATCH])))
            made.append(torch.nn.functional.normalize(features["sentence_embedding"], dim=-1).numpy())
    return np.concatenate(made)


def _in_turns(encoders: dict[str, Encode], inputs: Sequence[Sequence[str]], kind: str) -> dict[str, float]:
    """Median milliseconds of each encoder; warm-up rounds do not count."""
    spent: dict[str, list[float]] = {name: [] for name in encoders}
    for each in [*inputs[:3], *inputs]:
        for name, encode in encoders.items():
            encode(each, kind)  # warms the processor's caches, so that the runtime that ran before has no influence
            started = time.perf_counter()
            encode(each, kind)
            spent[name].append(1000 * (time.perf_counter() - started))
    return {name: round(statistics.median(times[3:]), 2) for name, times in spent.items()}


def _print(results: dict[str, dict[str, Any]]) -> None:
    table = Table(title=f"compared with torch encode; single queries, and batches of {BATCH} passages")
    for column in ("runtime", "query ms", "ratio", "batch ms", "ratio", "dev MRR@5", "difference", "pass", "MB"):
        table.add_column(column)
    first = results["torch encode"]
    for name, found in results.items():
        found["query_ratio"] = round(found["query_ms"] / first["query_ms"], 3)
        found["batch_ratio"] = round(found["batch_ms"] / first["batch_ms"], 3)
        lost = first["dev_mrr@5"] - found["dev_mrr@5"]
        table.add_row(
            name,
            f"{found['query_ms']:.2f}",
            f"{found['query_ratio']:.2f}",
            f"{found['batch_ms']:.0f}",
            f"{found['batch_ratio']:.2f}",
            f"{found['dev_mrr@5']:.4f}",
            f"{-lost:+.4f}",
            "yes" if lost <= MAX_SHORTFALL else "no",
            f"{found['megabytes']:.0f}",
        )
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
