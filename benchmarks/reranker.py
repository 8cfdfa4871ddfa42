"""Trains a cross-encoder on a prepared set, as a teacher for the recipe `margin` of tried_recipes.py.

    python benchmarks/reranker.py --data work/tried-today/data/medquad --out work/reranker

It learns from each training query with its document, and with three of the other documents that the base model ranks
first. On dev queries, it ranks the base model's first 20 documents anew. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path

os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray
from sentence_transformers import CrossEncoder
from sentence_transformers.cross_encoder import CrossEncoderTrainer, CrossEncoderTrainingArguments
from sentence_transformers.cross_encoder.losses import BinaryCrossEntropyLoss

from registry import resolve_base_model
from training import read_prepared
from training.retrieval.encoding import TorchBlocks, load_model
from training.retrieval.metrics import query_metrics
from training.retrieval.ranking import ranking
from training.retrieval.texts import Texts

DEPTH, NEGATIVES = 20, 3
LENGTH = 256
MEASURES = ("mrr@5", "ndcg@10")


def main() -> None:
    """Train, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="prepared set")
    parser.add_argument("--out", type=Path, required=True, help="new folder for the cross-encoder")
    parser.add_argument("--epochs", type=int, default=2)
    arguments = parser.parse_args()
    texts, base = Texts(read_prepared(arguments.data)), resolve_base_model().path
    blocks = TorchBlocks(load_model(base, "cpu"))
    documents = blocks.encode(texts.documents, "document", 64)
    first = {
        split: ranking(blocks.encode(texts.queries[split], "query", 64), documents, DEPTH) for split in ("train", "dev")
    }
    teacher = CrossEncoder(str(base), num_labels=1, max_length=LENGTH, device="cpu")
    _train(teacher, _pairs(texts, first["train"]), arguments.epochs)
    teacher.save_pretrained(str(arguments.out))
    ranked = {"base": first["dev"], "reranked": _reranked(teacher, texts, first["dev"])}
    found = {name: _measured(rows, texts) for name, rows in ranked.items()}
    print(json.dumps(found))


def _pairs(texts: Texts, first: NDArray[np.int64]) -> Dataset:
    """Each training query with its relevant documents, and with some of the others that are ranked first."""
    draw = np.random.default_rng(0)
    rows: list[tuple[str, str, float]] = []
    for query, relevant, row in zip(texts.queries["train"], texts.relevant["train"], first, strict=True):
        wrong = [document for document in row.tolist() if document not in relevant]
        rows += [(query, texts.documents[document], 1.0) for document in sorted(relevant)]
        rows += [(query, texts.documents[document], 0.0) for document in draw.choice(wrong, NEGATIVES, replace=False)]
    return Dataset.from_dict(dict(zip(("query", "document", "label"), map(list, zip(*rows, strict=True)), strict=True)))


def _train(teacher: CrossEncoder, pairs: Dataset, epochs: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        options = CrossEncoderTrainingArguments(
            output_dir=folder,
            num_train_epochs=epochs,
            per_device_train_batch_size=32,
            learning_rate=5e-5,
            warmup_steps=0.1,
            save_strategy="no",
            report_to="none",
            use_cpu=True,
            bf16=True,
            logging_steps=10,
        )
        CrossEncoderTrainer(teacher, options, pairs, loss=BinaryCrossEntropyLoss(teacher)).train()


def _reranked(teacher: CrossEncoder, texts: Texts, first: NDArray[np.int64]) -> NDArray[np.int64]:
    """The documents of each dev query in the order of the teacher's scores."""
    asked = [
        (query, texts.documents[each]) for query, row in zip(texts.queries["dev"], first, strict=True) for each in row
    ]
    scores = teacher.predict(asked, batch_size=32, show_progress_bar=True).reshape(first.shape)
    ordered: NDArray[np.int64] = np.take_along_axis(first, np.argsort(-scores, axis=1, kind="stable"), axis=1)
    return ordered


def _measured(ranked: NDArray[np.int64], texts: Texts) -> dict[str, float]:
    metrics = query_metrics(ranked, texts.relevant["dev"])
    return {name: round(float(metrics[name].mean()), 4) for name in MEASURES}


if __name__ == "__main__":
    main()
