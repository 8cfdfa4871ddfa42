"""Tries interpolation weights for the lower and the upper layers of an adapter apart, on dev queries of both sides.

    python benchmarks/layer_weights.py --adapter benchmarks/adapters/lora-large-people-s2 --data work/random/data

--data is the folder of prepared sets of both_sides.py. Measured is nDCG@10 on samples of MedQuAD's dev queries and of
those of two sets that were mixed in, each with the documents that the base model ranks first among the relevant and
every 10th of the others. The last line is one JSON
object.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
from pathlib import Path

os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer

from registry import resolve_base_model
from registry.model_folders.adapters import attach_weights
from training import read_prepared
from training.reporting.report import TrainingReport
from training.retrieval.encoding import TorchBlocks, load_model
from training.retrieval.metrics import DECIDING, query_metrics
from training.retrieval.ranking import ranking
from training.retrieval.texts import Texts

SETS = ("medquad", "mixed-rqe", "mixed-meqsum")
QUERIES, CANDIDATES, EVERY = 128, 10, 10
WEIGHTS = (0.3, 0.5, 0.7, 0.9)
LAYERS = 6


class Sample:
    """Some dev queries of a set, and the documents that are relevant to them or that a model ranks first."""

    def __init__(self, folder: Path, base: SentenceTransformer) -> None:
        texts = Texts(read_prepared(folder))
        chosen = np.unique(np.linspace(0, len(texts.queries["dev"]) - 1, QUERIES).astype(int))
        self.queries = [texts.queries["dev"][row] for row in chosen]
        relevant = [texts.relevant["dev"][row] for row in chosen]
        blocks = TorchBlocks(base)
        pool = sorted(set(range(0, len(texts.documents), EVERY)).union(*relevant))
        vectors = blocks.encode([texts.documents[document] for document in pool], "document", 64)
        found = ranking(blocks.encode(self.queries, "query", 64), vectors, CANDIDATES)
        kept = sorted({pool[place] for place in found.ravel().tolist()}.union(*relevant))
        places = {document: place for place, document in enumerate(kept)}
        self.documents = [texts.documents[document] for document in kept]
        self.relevant = [{places[document] for document in each} for each in relevant]

    def score(self, model: SentenceTransformer) -> float:
        """The deciding metric of a model."""
        blocks = TorchBlocks(model)
        queries, documents = blocks.encode(self.queries, "query", 64), blocks.encode(self.documents, "document", 64)
        values: NDArray[np.float64] = query_metrics(ranking(queries, documents, 10), self.relevant)[DECIDING]
        return float(values.mean())


def main() -> None:
    """Measure every pair of weights, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--adapter", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--lower", type=float, nargs="+", default=WEIGHTS, help="weights of the lower layers")
    arguments = parser.parse_args()
    base = resolve_base_model()
    samples = {name: Sample(arguments.data / name, load_model(base.path, "cpu")) for name in SETS}
    model = load_model(base.path, "cpu")
    attach_weights(model, arguments.adapter, "default")
    stored = TrainingReport.load(arguments.adapter).iterations[-1].interpolation_weight or 1.0
    trained = {name: weight.clone() / stored for name, weight in model.named_parameters() if ".lora_B." in name}
    found = {}
    for lower, upper in [(0.0, 0.0), *itertools.product(arguments.lower, WEIGHTS)]:
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if name in trained:
                    layer = int(name.split(".layer.")[1].split(".")[0])
                    weight.copy_(trained[name] * (lower if layer < LAYERS // 2 else upper))
        found[f"{lower} {upper}"] = {name: round(sample.score(model), 4) for name, sample in samples.items()}
        print(lower, upper, found[f"{lower} {upper}"], flush=True)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
