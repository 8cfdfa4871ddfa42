"""Measures how much memory a training takes beside the texts of its corpus, by its steps and the size of the corpus.

    python benchmarks/corpus_memory.py --chunks 10000 100000
    python benchmarks/corpus_memory.py --chunks 1000000 --words 150 --steps prepare read encode

Chunks are made of random words, and a tiny model is built from a config. Every step runs in a fresh process:
``prepare`` prepares a BEIR folder, ``read`` reads prepared data, ``encode`` then encodes the corpus with the base
model, and ``train`` is a whole training of one iteration. Memory is the largest resident set that was seen, twice a
second, without pages of files, less what the process had after the same on few chunks. With ``--ray``, it is that of
the process that trains. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from kills import tiny_model
from ray_corpus import peaks
from rich.console import Console
from rich.table import Table

from registry import resolve_base_model
from training import Contrastive, TrainingJob, adapt, read_prepared
from training.lazy_texts.corpus import Corpus
from training.lazy_texts.sequences import LazySequence
from training.prepared.format import SPLITS
from training.prepared.judged import prepare_judged
from training.prepared.preparation import write_folder
from training.retrieval.encoding import TorchBlocks, encode, load_model
from training.sources.beir import read_beir

STEPS = ("prepare", "read", "encode", "train")
VOCABULARY = 50_000
QUERIES = 256
WARM = 300
"""Chunks of the training before which memory is measured first."""


class RandomTexts(LazySequence[str]):
    """Chunks of words, which are drawn when a chunk is accessed."""

    def __init__(self, count: int, words: int) -> None:
        self._count, self._words = count, words

    def __len__(self) -> int:
        return self._count

    def item(self, place: int) -> str:
        drawn = np.random.default_rng(place).zipf(1.3, self._words) % VOCABULARY
        return " ".join([f"chunk{place}", *(f"w{word}" for word in drawn.tolist())])


def main() -> None:
    """Measure every size and step in a fresh process, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--chunks", type=int, nargs="+", default=[10_000, 100_000], help="sizes of the corpus")
    parser.add_argument("--words", type=int, default=100, help="words of a chunk")
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=STEPS)
    parser.add_argument("--ray", help="address of a Ray cluster that does what it can of the training")
    arguments = parser.parse_args()
    results: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        model = tiny_model(folder)
        write(folder / str(WARM), WARM, arguments.words)
        for chunks in arguments.chunks:
            texts = write(folder / str(chunks), chunks, arguments.words)
            found: dict[str, Any] = {"texts_mb": round(texts / 1e6, 1)}
            for step in arguments.steps:
                with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
                    done = process.submit(measure, step, folder, chunks, model, arguments.ray)
                    found[step] = done.result()
            results[str(chunks)] = found
    _print(results, arguments.steps)


def write(folder: Path, chunks: int, words: int) -> int:
    """Prepared data with few queries; returns the bytes of the texts of their documents."""
    queries = {f"q{number}": f"what does chunk{number % chunks} say" for number in range(QUERIES)}
    relevant = {name: [f"d{number % chunks}"] for number, name in enumerate(queries)}
    qrels = {split: dict(islice(relevant.items(), place, None, 3)) for place, split in enumerate(SPLITS)}
    corpus = Corpus([f"d{number}" for number in range(chunks)], RandomTexts(chunks, words))
    write_folder(folder, corpus, queries, qrels, kind="pairs", source="random", counts={"pairs": QUERIES})
    return sum(len(text) for text in read_prepared(folder).documents.texts)  # all of them are ASCII


def measure(step: str, folder: Path, chunks: int, model: Path, ray: str | None) -> dict[str, float]:
    """Do a step and those before it, first on few chunks."""
    do(step, folder, WARM, model, None)
    before = psutil.Process().memory_info()
    started = time.perf_counter()
    with peaks() as memory:
        do(step, folder, chunks, model, ray)
    seconds = time.perf_counter() - started
    used = memory.get("driver", 0) - (before.rss - getattr(before, "shared", 0))
    return {"seconds": round(seconds, 1), "peak_mb": round(max(used, 0) / 1e6, 1)}


def do(step: str, folder: Path, chunks: int, model: Path, ray: str | None) -> None:
    """Prepare data, or read prepared data; then perhaps encode them, or train on them."""
    if step == "prepare":
        prepare_judged(read_beir(folder / str(chunks)), folder / "prepared", overwrite=True)
        return
    data, base = read_prepared(folder / str(chunks)), resolve_base_model(str(model))
    if step == "read":
        list(map(len, data.documents.texts))
    elif step == "encode":
        blocks = TorchBlocks(load_model(base.path, "cpu"))
        encode(blocks, data.documents.texts, "document", 64, "documents", folder / "vectors.npy")
    else:
        recipe = Contrastive(iterations=1, min_steps=1, batch_size=16, mix_ratio=0)
        job = TrainingJob(data, "random", base, recipe, device="cpu", ray=ray)
        adapt(job, folder / "trained", overwrite=True)


def _print(results: dict[str, dict[str, Any]], steps: list[str]) -> None:
    table = Table(title="peak memory beside the libraries, MB; seconds in brackets")
    for column in ("chunks", "texts", *steps):
        table.add_column(column, justify="right")
    for chunks, found in results.items():
        cells = [f"{found[step]['peak_mb']} ({found[step]['seconds']})" for step in steps]
        table.add_row(f"{int(chunks):,}", str(found["texts_mb"]), *cells)
    Console(width=120).print(table)
    print(platform.processor() or platform.machine(), torch.get_num_threads(), "threads")
    print(json.dumps(results))


if __name__ == "__main__":
    main()
